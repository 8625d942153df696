output "ready" {
  description = "The operator's version, once everything that the RayService needs is installed."
  value       = helm_release.kuberay.version
  depends_on  = [helm_release.external_secrets, helm_release.kueue, helm_release.gateway_class, helm_release.prometheus]
}

output "grafana_password" {
  description = "Password of Grafana's user admin."
  value       = random_password.grafana.result
  sensitive   = true
}
