"""Metrics in a cluster: what is scraped, the alerts, the dashboards."""
