output "name" {
  description = "The cluster's name."
  value       = google_container_cluster.this.name
}

output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = "https://${google_container_cluster.this.endpoint}"
}

output "ca_certificate" {
  description = "The API's certificate authority, PEM."
  value       = base64decode(google_container_cluster.this.master_auth[0].cluster_ca_certificate)
}

output "node_account" {
  description = "E-mail of the account of nodes, once it may do what nodes must."
  value       = google_service_account.nodes.email
  depends_on  = [google_project_iam_member.nodes]
}

output "project_number" {
  description = "Number of the project, by which identities of pods are named."
  value       = data.google_project.this.number
}
