output "network_id" {
  description = "The network."
  value       = google_compute_network.this.id
}

output "subnetwork_id" {
  description = "The subnetwork of nodes, with ranges called pods and services."
  value       = google_compute_subnetwork.nodes.id
}

output "google_network_id" {
  description = "The network, once Google's own services are joined to it."
  value       = google_compute_network.this.id
  depends_on  = [google_service_networking_connection.google]
}
