mock_provider "google" {}

variables {
  project         = "example-project"
  project_number  = "123456789012"
  namespace       = "muster"
  service_account = "muster"
  buckets         = { example-muster-objects = "roles/storage.objectUser" }
  secrets         = { service = "projects/example-project/secrets/muster" }
}

run "the_account_gets_what_is_listed_and_no_more" {
  assert {
    condition     = google_storage_bucket_iam_member.this["example-muster-objects"].role == "roles/storage.objectUser" && google_secret_manager_secret_iam_member.this["service"].role == "roles/secretmanager.secretAccessor"
    error_message = "the pods must have the roles they need"
  }

  assert {
    condition     = output.principal == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/example-project.svc.id.goog/subject/ns/muster/sa/muster"
    error_message = "the pods are named by number, pool, namespace and account"
  }
}

run "what_is_no_project_is_refused" {
  command = plan

  variables {
    project = "1"
  }

  expect_failures = [var.project]
}

run "a_projects_id_as_its_number_is_refused" {
  command = plan

  variables {
    project_number = "example-project"
  }

  expect_failures = [var.project_number]
}

run "a_namespace_with_capitals_is_refused" {
  command = plan

  variables {
    namespace = "Muster"
  }

  expect_failures = [var.namespace]
}

run "an_account_with_an_underscore_is_refused" {
  command = plan

  variables {
    service_account = "muster_1"
  }

  expect_failures = [var.service_account]
}

run "a_role_of_something_else_is_refused" {
  command = plan

  variables {
    buckets = { example = "roles/owner" }
  }

  expect_failures = [var.buckets]
}

run "a_secret_by_its_name_alone_is_refused" {
  command = plan

  variables {
    secrets = { service = "muster" }
  }

  expect_failures = [var.secrets]
}
