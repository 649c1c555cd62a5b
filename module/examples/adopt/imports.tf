import {
  to = module.mlflow.google_storage_bucket.artifacts
  id = "acme-mlflow-artifacts"
}

import {
  to = module.mlflow.google_sql_database_instance.tracking
  id = "projects/acme-ml-dev/instances/mlflow-instance"
}

import {
  to = module.mlflow.google_sql_database.mlflow
  id = "projects/acme-ml-dev/instances/mlflow-instance/databases/mlflow"
}

import {
  to = module.mlflow.google_sql_user.mlflow # MySQL: PROJECT/INSTANCE/HOST/NAME
  id = "acme-ml-dev/mlflow-instance/mlflow"
}

import {
  to = module.mlflow.google_service_account.tracking
  id = "projects/acme-ml-dev/serviceAccounts/mlflow-runner@acme-ml-dev.iam.gserviceaccount.com"
}

import {
  to = module.mlflow.google_cloud_run_v2_service.tracking
  id = "projects/acme-ml-dev/locations/europe-west1/services/mlflow-tracking"
}
