output "host" {
  description = "Address of the server, within the network."
  value       = google_sql_database_instance.this.private_ip_address
}

output "ca_pem" {
  description = "The server's certificate authority, PEM."
  value       = google_sql_database_instance.this.server_ca_cert[0].cert
}

output "credentials" {
  description = "User and password, as External Secrets looks for them."
  value       = { username = google_sql_user.this.name, password = random_password.this.result }
  sensitive   = true
}
