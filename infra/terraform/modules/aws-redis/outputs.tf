output "address" {
  description = "Where Ray finds it."
  value       = "rediss://${aws_elasticache_replication_group.this.primary_endpoint_address}:6379"
}

output "password" {
  description = "Its password."
  value       = random_password.this.result
  sensitive   = true
}
