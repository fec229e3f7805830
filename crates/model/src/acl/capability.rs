//! What a policy can allow in a namespace, on paths of variables, on node pools, host volumes and for operators.

text_enum! {
    /// A capability in a namespace.
    Capability {
        0 Deny = "deny",
        1 ListJobs = "list-jobs",
        2 ParseJob = "parse-job",
        3 ReadJob = "read-job",
        4 SubmitJob = "submit-job",
        5 DispatchJob = "dispatch-job",
        6 ReadLogs = "read-logs",
        7 ReadFs = "read-fs",
        8 AllocExec = "alloc-exec",
        9 AllocNodeExec = "alloc-node-exec",
        10 AllocLifecycle = "alloc-lifecycle",
        11 CsiRegisterPlugin = "csi-register-plugin",
        12 CsiWriteVolume = "csi-write-volume",
        13 CsiReadVolume = "csi-read-volume",
        14 CsiListVolume = "csi-list-volume",
        15 CsiMountVolume = "csi-mount-volume",
        16 HostVolumeCreate = "host-volume-create",
        17 HostVolumeDelete = "host-volume-delete",
        18 HostVolumeRead = "host-volume-read",
        19 HostVolumeRegister = "host-volume-register",
        20 HostVolumeWrite = "host-volume-write",
        21 ListScalingPolicies = "list-scaling-policies",
        22 ReadScalingPolicy = "read-scaling-policy",
        23 ReadJobScaling = "read-job-scaling",
        24 ScaleJob = "scale-job",
        25 SentinelOverride = "sentinel-override",
        26 SubmitRecommendation = "submit-recommendation",
        27 RegisterJob = "register-job",
        28 RevertJob = "revert-job",
        29 DeregisterJob = "deregister-job",
        30 PurgeJob = "purge-job",
        31 EvaluateJob = "evaluate-job",
        32 PlanJob = "plan-job",
        33 TagJobVersion = "tag-job-version",
        34 StableJob = "stable-job",
        35 FailDeployment = "fail-deployment",
        36 PauseDeployment = "pause-deployment",
        37 PromoteDeployment = "promote-deployment",
        38 UnblockDeployment = "unblock-deployment",
        39 CancelDeployment = "cancel-deployment",
        40 SetAllocHealthDeployment = "set-alloc-health-deployment",
        41 GcAllocation = "gc-allocation",
        42 PauseAllocation = "pause-allocation",
        43 ForcePeriodicJob = "force-periodic-job",
        44 DeleteServiceRegistration = "delete-service-registration",
    }
}

text_enum! {
    /// A capability on paths of variables.
    VariableCapability { 0 Deny = "deny", 1 List = "list", 2 Read = "read", 3 Write = "write", 4 Destroy = "destroy", }
}
text_enum! {
    /// A capability on node pools.
    NodePoolCapability { 0 Deny = "deny", 1 Read = "read", 2 Write = "write", 3 Delete = "delete", }
}
text_enum! {
    /// A capability on host volumes.
    HostVolumeCapability { 0 Deny = "deny", 1 MountReadonly = "mount-readonly", 2 MountReadwrite = "mount-readwrite", }
}
text_enum! {
    /// A capability of operators.
    OperatorCapability {
        0 Deny = "deny", 1 SnapshotSave = "snapshot-save", 2 LicenseRead = "license-read", 3 KeyringRotate = "keyring-rotate",
        4 KeyringRead = "keyring-read", 5 KeyringDelete = "keyring-delete",
    }
}

/// A set of capabilities of one kind; `deny` in it denies everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Set(u64);

impl Set {
    pub(super) fn add(&mut self, number: usize) {
        self.0 |= 1 << number;
    }

    /// Whether something is allowed at all.
    pub(super) fn any(self) -> bool {
        self.0 != 0 && self.0 & 1 == 0
    }

    /// Whether everything is denied.
    pub(super) fn denies(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn has(self, number: usize) -> bool {
        self.any() && self.0 & (1 << number) != 0
    }
}

impl Capability {
    /// Capabilities that allow the same, each on its own.
    fn implied_by(self) -> &'static [Self] {
        match self {
            Self::RegisterJob
            | Self::RevertJob
            | Self::PurgeJob
            | Self::EvaluateJob
            | Self::PlanJob
            | Self::TagJobVersion
            | Self::StableJob
            | Self::FailDeployment
            | Self::PauseDeployment
            | Self::PromoteDeployment
            | Self::UnblockDeployment
            | Self::CancelDeployment
            | Self::SetAllocHealthDeployment
            | Self::GcAllocation
            | Self::PauseAllocation
            | Self::DeleteServiceRegistration
            | Self::ParseJob
            | Self::ScaleJob
            | Self::SubmitRecommendation => &[Self::SubmitJob],
            Self::DeregisterJob => &[Self::SubmitJob, Self::PurgeJob],
            Self::ForcePeriodicJob => &[Self::SubmitJob, Self::DispatchJob],
            Self::ReadLogs => &[Self::ReadFs],
            Self::ReadJobScaling => &[Self::ReadJob],
            Self::CsiReadVolume => &[Self::CsiWriteVolume, Self::CsiMountVolume, Self::ReadJob],
            Self::CsiListVolume => &[Self::CsiReadVolume, Self::CsiWriteVolume, Self::CsiMountVolume, Self::ListJobs],
            Self::HostVolumeRead => &[Self::HostVolumeCreate, Self::HostVolumeRegister, Self::HostVolumeWrite],
            Self::HostVolumeCreate => &[Self::HostVolumeRegister, Self::HostVolumeWrite],
            Self::HostVolumeRegister | Self::HostVolumeDelete => &[Self::HostVolumeWrite],
            _ => &[],
        }
    }

    /// Whether a set of capabilities of one namespace allows this.
    pub(super) fn allowed_by(self, set: Set) -> bool {
        let has = |capability: Self| set.has(capability as usize);
        let scaling = matches!(self, Self::ListScalingPolicies | Self::ReadScalingPolicy) && has(Self::ListJobs) && has(Self::ReadJob);
        has(self) || scaling || self.implied_by().iter().any(|other| has(*other))
    }
}
