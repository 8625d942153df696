output "address" {
  description = "Where Ray finds it."
  value       = "rediss://${google_redis_instance.this.host}:${google_redis_instance.this.port}"
}

output "password" {
  description = "Its password."
  value       = google_redis_instance.this.auth_string
  sensitive   = true
}
