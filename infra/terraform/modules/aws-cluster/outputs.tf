output "name" {
  description = "The cluster's name."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = aws_eks_cluster.this.endpoint
}

output "ca_certificate" {
  description = "The API's certificate authority, PEM."
  value       = base64decode(aws_eks_cluster.this.certificate_authority[0].data)
}

output "node_role_arn" {
  description = "The role of nodes."
  value       = aws_iam_role.nodes.arn
  # A node that joins before its role may do anything never becomes ready.
  depends_on = [aws_iam_role_policy_attachment.nodes, aws_eks_addon.before_nodes]
}

output "security_group_id" {
  description = "The security group of nodes and control plane, to let into databases."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}
