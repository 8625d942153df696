output "role_arn" {
  description = "The role, once its pods may have it."
  value       = aws_iam_role.this.arn
  depends_on  = [aws_eks_pod_identity_association.this, aws_iam_role_policy.this]
}
