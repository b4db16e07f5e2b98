"""How the service is deployed: image, manifests for KubeRay, and what generates parts of them."""
