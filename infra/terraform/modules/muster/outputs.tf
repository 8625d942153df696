output "manifests" {
  description = "The documents that are installed, as YAML."
  value       = local.manifests
}

output "settings_digest" {
  description = "What changes with every setting, and makes KubeRay replace the cluster."
  value       = local.digest
}

output "release" {
  description = "The release's number, which rises with every change."
  value       = helm_release.this.metadata.revision
}
