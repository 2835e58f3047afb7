"""The class of volumes that a claim gets when it names none."""

from __future__ import annotations

from typing import Literal

import pulumi
import pulumi_kubernetes as kubernetes

from .tags import labels


def storage_class(
    reclaim: Literal["Delete", "Retain"], opts: pulumi.ResourceOptions
) -> kubernetes.storage.v1.StorageClass:
    """Encrypted gp3 on EBS, in the zone of the pod that mounts it first.

    Args:
        reclaim: what becomes of a volume whose claim is deleted.
        opts: the provider, and the CSI driver's add-on to wait for.
    """
    return kubernetes.storage.v1.StorageClass(
        "gp3",
        metadata=kubernetes.meta.v1.ObjectMetaArgs(
            name="gp3",
            labels=labels("storage"),
            annotations={"storageclass.kubernetes.io/is-default-class": "true"},
        ),
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true"},
        reclaim_policy=reclaim,
        volume_binding_mode="WaitForFirstConsumer",
        allow_volume_expansion=True,
        opts=opts,
    )
