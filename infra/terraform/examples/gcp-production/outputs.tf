output "kubeconfig_command" {
  description = "How kubectl finds the cluster."
  value       = "gcloud container clusters get-credentials ${module.cluster.name} --region ${var.region} --project ${var.project}"
}

output "bucket" {
  description = "The bucket of objects."
  value       = module.objects.bucket
}

output "grafana_password" {
  description = "Password of Grafana's user admin."
  value       = module.platform.grafana_password
  sensitive   = true
}
