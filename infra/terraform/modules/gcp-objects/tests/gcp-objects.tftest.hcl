mock_provider "google" {}

variables {
  project = "example-project"
  region  = "europe-west4"
  bucket  = "example-muster-objects"
}

run "objects_are_encrypted_private_and_can_be_brought_back" {
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && google_storage_bucket.this.uniform_bucket_level_access && !google_storage_bucket.this.force_destroy
    error_message = "nothing may make the bucket public, or delete it with what is in it"
  }

  assert {
    condition     = google_storage_bucket.this.encryption[0].default_kms_key_name == google_kms_crypto_key.this.id && google_storage_bucket.this.versioning[0].enabled
    error_message = "objects must be encrypted by the module's key, and kept a while when deleted"
  }
}

run "what_is_no_project_is_refused" {
  command = plan

  variables {
    project = "1"
  }

  expect_failures = [var.project]
}

run "what_is_no_region_is_refused" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "a_name_that_gcp_keeps_for_itself_is_refused" {
  command = plan

  variables {
    bucket = "goog-muster"
  }

  expect_failures = [var.bucket]
}

run "no_time_to_notice_is_refused" {
  command = plan

  variables {
    deleted_kept_days = 0
  }

  expect_failures = [var.deleted_kept_days]
}
