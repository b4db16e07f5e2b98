"""How the service is deployed: the image, manifests for KubeRay, and what generates parts of them."""
