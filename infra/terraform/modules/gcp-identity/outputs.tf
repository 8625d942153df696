output "principal" {
  description = "The pods as IAM names them, once they may do what is listed."
  value       = local.pods
  depends_on  = [google_storage_bucket_iam_member.this, google_secret_manager_secret_iam_member.this]
}
