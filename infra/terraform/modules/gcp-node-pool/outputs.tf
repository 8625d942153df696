output "name" {
  description = "The pool's name, once its nodes may join."
  value       = var.name
  depends_on  = [google_container_node_pool.this]
}
