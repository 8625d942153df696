locals {
  # Workload identity names pods directly; no service account of GCP's, and no key of one.
  pods = "principal://iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${var.project}.svc.id.goog/subject/ns/${var.namespace}/sa/${var.service_account}"
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = var.buckets

  bucket = each.key
  role   = each.value
  member = local.pods
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = var.secrets

  project   = var.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = local.pods
}
