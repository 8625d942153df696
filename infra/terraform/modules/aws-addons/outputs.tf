output "ready" {
  description = "The cluster's name, once names resolve, disks can be had and the autoscaler has its role."
  value       = var.cluster_name
  depends_on  = [aws_eks_addon.names, aws_eks_addon.disks, aws_eks_pod_identity_association.autoscaler]
}
