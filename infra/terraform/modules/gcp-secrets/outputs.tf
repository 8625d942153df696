output "name" {
  description = "Name of the secret with the host, the lease secret and Redis's password, once it has them."
  value       = google_secret_manager_secret.this["service"].secret_id
  depends_on  = [google_secret_manager_secret_version.this]
}

output "database_name" {
  description = "Name of the secret with user and password of the database, once it has them."
  value       = google_secret_manager_secret.this["database"].secret_id
  depends_on  = [google_secret_manager_secret_version.this]
}

output "ids" {
  description = "Both, for gcp-identity."
  value       = { for key, secret in google_secret_manager_secret.this : key => "projects/${var.project}/secrets/${secret.secret_id}" }
}
