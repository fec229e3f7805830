//! Every type of the contract, for what looks at all of them.

use crate::schema::{Definitions, schema};

/// The schemas of all types, whether a route uses them or not.
pub fn every_type() -> Definitions {
    let mut all = Definitions::default();
    macro_rules! describe {
        ($($name:ident)*) => { $( let _ = schema::<crate::$name>(&mut all); )* };
    }
    describe! {
        ACLAuthMethod ACLAuthMethodConfig ACLAuthMethodEvent ACLAuthMethodListStub ACLBindingRule ACLBindingRuleEvent
        ACLBindingRuleListStub ACLIdentityClientIntroductionTokenRequest ACLIdentityClientIntroductionTokenResponse ACLLoginRequest
        ACLOIDCAuthURLRequest ACLOIDCAuthURLResponse ACLOIDCCompleteAuthRequest ACLPolicy ACLPolicyEvent ACLPolicyListStub ACLPolicyRules
        ACLRole ACLRoleListStub ACLRolePolicyLink ACLRoleStreamEvent ACLToken ACLTokenEvent ACLTokenListStub ACLTokenRoleLink
        AclRulesAgentPolicy AclRulesHostVolumePolicy AclRulesNamespacePolicy AclRulesNodePolicy AclRulesNodePoolPolicy
        AclRulesOperatorPolicy AclRulesPluginPolicy AclRulesQuotaPolicy AclRulesSentinelPolicy AclRulesVariablesPathPolicy
        AclRulesVariablesPolicy Action Affinity AgentConfig AgentConfigACLConfig AgentConfigAddresses AgentConfigAdvertiseAddrs
        AgentConfigArtifactConfig AgentConfigAuditConfig AgentConfigAuditFilter AgentConfigAuditSink AgentConfigAutopilotConfig
        AgentConfigClientConfig AgentConfigClientIntroduction AgentConfigClientTemplateConfig AgentConfigConsulConfig
        AgentConfigConsulUIConfig AgentConfigContentSecurityPolicy AgentConfigDrainConfig AgentConfigEventlog AgentConfigFingerprint
        AgentConfigKeyLoader AgentConfigLabelUIConfig AgentConfigLicenseReportingConfig AgentConfigLimits
        AgentConfigLogStoreVerificationConfig AgentConfigPlanRejectionTracker AgentConfigPluginConfig AgentConfigPorts
        AgentConfigRPCConfig AgentConfigRaftBoltConfig AgentConfigRaftLogStoreConfig AgentConfigReportingConfig AgentConfigResources
        AgentConfigRetryConfig AgentConfigSearch AgentConfigSentinelConfig AgentConfigSentinelImport AgentConfigServerConfig
        AgentConfigServerJoin AgentConfigTLSConfig AgentConfigTelemetry AgentConfigUIConfig AgentConfigUsersConfig AgentConfigVaultConfig
        AgentConfigVaultUIConfig AgentConfigVersionInfo AgentConfigWALConfig AgentConfigWaitConfig AgentConfigWorkloadIdentityConfig
        AgentHealth AgentHealthResponse AgentMember AgentSchedulerWorkerConfigRequest AgentSchedulerWorkerConfigResponse
        AgentSchedulerWorkerInfo AgentSchedulerWorkersInfo AgentSelf AllocCheckStatus AllocCheckStatuses AllocDeploymentStatus
        AllocFileInfo AllocGetPauseResponse AllocNetworkStatus AllocPauseRequest AllocResourceUsage AllocSignalRequest AllocState
        AllocStopResponse AllocatedCpuResources AllocatedDeviceResource AllocatedMemoryResources AllocatedResources
        AllocatedSharedResources AllocatedTaskResources Allocation AllocationEvent AllocationListStub AllocationMetric
        AllocationRestartRequest Attribute AutopilotConfiguration AutopilotUpgrade AutopilotZone AutopilotZoneUpgradeVersions
        BootstrapRequest CNIConfig CSIControllerInfo CSIInfo CSIMountOptions CSINodeInfo CSIPlugin CSIPluginEvent CSIPluginListStub
        CSISnapshot CSISnapshotCreateRequest CSISnapshotCreateResponse CSISnapshotListResponse CSITopology CSITopologyRequest CSIVolume
        CSIVolumeCapability CSIVolumeCreateRequest CSIVolumeCreateResponse CSIVolumeEvent CSIVolumeExternalStub
        CSIVolumeListExternalResponse CSIVolumeListStub CSIVolumeRegisterRequest CSIVolumeRegisterResponse ChangeScript CheckRestart
        Constraint Consul ConsulConnect ConsulExposeConfig ConsulExposePath ConsulGateway ConsulGatewayBindAddress ConsulGatewayProxy
        ConsulGatewayTLSConfig ConsulGatewayTLSSDSConfig ConsulHTTPHeaderModifiers ConsulIngressConfigEntry ConsulIngressListener
        ConsulIngressService ConsulLinkedService ConsulMeshConfigEntry ConsulMeshGateway ConsulProxy ConsulSidecarService
        ConsulTerminatingConfigEntry ConsulTransparentProxy ConsulUpstream Core CpuStats DNSConfig Deployment DeploymentAllocHealthRequest
        DeploymentEvent DeploymentPauseRequest DeploymentPromoteRequest DeploymentState DeploymentUnblockRequest DeploymentUpdateResponse
        DesiredTransition DesiredUpdates DeviceGroupStats DeviceStats DisconnectStrategy DiskUsage DispatchPayloadConfig DrainMetadata
        DrainSpec DrainStrategy DriverInfo EphemeralDisk EvalCountResponse EvalDeleteRequest EvalDeleteResponse EvalOptions Evaluation
        EvaluationEvent EvaluationStub Event Events ExecStreamingExitResult ExecStreamingIOOperation ExecStreamingInput
        ExecStreamingOutput FieldDiff FuzzyMatch FuzzySearchRequest FuzzySearchResponse GaugeValue GenericResponse HostCPUStats HostData
        HostDataResponse HostDiskStats HostMemoryStats HostNetworkInfo HostStats HostVolume HostVolumeCapability HostVolumeCreateRequest
        HostVolumeCreateResponse HostVolumeDeleteResponse HostVolumeEvent HostVolumeInfo HostVolumeRegisterRequest
        HostVolumeRegisterResponse HostVolumeStub JSONWebKey JSONWebKeySet Job JobACL JobAction JobChildrenSummary JobDeregisterResponse
        JobDescription JobDiff JobDispatchRequest JobDispatchResponse JobEvaluateRequest JobEvent JobListStub JobPlanRequest
        JobPlanResponse JobRegisterRequest JobRegisterResponse JobRevertRequest JobScaleStatusResponse JobStabilityRequest
        JobStabilityResponse JobStatusesAlloc JobStatusesDeployment JobStatusesJob JobStatusesLatestDeployment JobStatusesRequest
        JobSubmission JobSummary JobTagResponse JobUIConfig JobUILink JobValidateRequest JobValidateResponse JobVersionTag
        JobVersionsResponse JobsParseRequest JoinResponse KEKProviderConfig KeyringDeleteResponse KeyringRequest KeyringResponse
        KeyringRotateResponse LeadershipTransferResponse License LicenseReply LogConfig MemoryStats MetricsSummary MigrateStrategy
        Multiregion MultiregionRegion MultiregionStrategy NUMAResource Namespace NamespaceCapabilities NamespaceConsulConfiguration
        NamespaceNodePoolConfiguration NamespaceVaultConfiguration NamespacedID NetworkResource Node NodeCpuResources NodeDevice
        NodeDeviceLocality NodeDeviceResource NodeDiskResources NodeDrainUpdateResponse NodeEligibilityUpdateResponse NodeEvalResponse
        NodeEvent NodeIdentityGetResponse NodeIdentityRenewRequest NodeIdentityRenewResponse NodeListStub NodeMemoryResources
        NodeMetaApplyRequest NodeMetaResponse NodeNetworkAddress NodeNetworkResource NodePool NodePoolEvent NodePoolLimit
        NodePoolSchedulerConfiguration NodeProcessorResources NodePurgeResponse NodeReservedCpuResources NodeReservedDiskResources
        NodeReservedMemoryResources NodeReservedNetworkResources NodeReservedResources NodeResources NodeScoreMeta NodeServerInfo
        NodeStreamEvent NodeUpdateDrainRequest NodeUpdateEligibilityRequest OIDCClientAssertion OIDCClientAssertionKey OIDCDiscoveryConfig
        ObjectDiff OneTimeToken OneTimeTokenExchangeRequest OneTimeTokenExchangeResponse OneTimeTokenUpsertResponse OperatorHealthReply
        OperatorUtilizationSnapshotResponse ParameterizedJobConfig PeriodicConfig PeriodicForceResponse PlanAnnotations PointValue Port
        PortMapping PreemptionConfig QuotaLimit QuotaResources QuotaSpec QuotaStorageResources QuotaUsage RaftConfiguration RaftServer
        Recommendation RecommendationApplyRequest RecommendationApplyResponse RequestedDevice RescheduleEvent ReschedulePolicy
        RescheduleTracker ResourceUsage Resources RestartPolicy RootKeyMeta SampledValue ScalingEvent ScalingPolicy ScalingPolicyListStub
        ScalingRequest SchedulerConfiguration SchedulerConfigurationResponse SchedulerSetConfigurationResponse SearchRequest
        SearchResponse Secret SentinelPolicy SentinelPolicyListStub ServerHealth ServerMembers Service ServiceCheck ServiceRegistration
        ServiceRegistrationListStub ServiceRegistrationStreamEvent ServiceRegistrationStub ServiceWeights SidecarTask
        SingleRecommendationApplyError SingleRecommendationApplyResult Spread SpreadTarget StatObject StatValue StreamFrame
        TagVersionRequest Task TaskArtifact TaskCSIPluginConfig TaskDiff TaskEvent TaskGroup TaskGroupDiff TaskGroupHostVolumeClaim
        TaskGroupScaleStatus TaskGroupSummary TaskLifecycle TaskResourceUsage TaskSchedule TaskScheduleCron TaskState Template
        TerminalSize Topology UpdateStrategy Variable VariableEvent VariableItems VariableLock VariableMetadata Vault VaultAccessor
        VaultWorkloadIdentityUpgradeCheck VolumeMount VolumeRequest WaitConfig WebsocketHandshake Why WorkloadIdentity WriteRequest
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    const LEDGER: &str = include_str!("../../../testdata/parity/wire-types.tsv");

    /// The ledger's names of types are the contract's but for a few.
    fn type_name(ledger: &str) -> String {
        let plain = ledger.replace("ACLRules.", "AclRules").replace('.', "");
        let mut letters = plain.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
    }

    /// A schema in the ledger's words.
    fn words(schema: &Value) -> String {
        if let Some(parts) = schema["anyOf"].as_array() {
            return format!("{}?", words(&parts[0]));
        }
        if let Some(target) = schema["$ref"].as_str() {
            return target.rsplit('/').next().unwrap_or_default().to_owned();
        }
        let (kind, nullable) = match &schema["type"] {
            Value::String(kind) => (kind.clone(), false),
            Value::Array(kinds) => (kinds[0].as_str().unwrap_or_default().to_owned(), true),
            _ => return "any?".to_owned(),
        };
        let word = match kind.as_str() {
            "integer" if schema["format"] == "uint64" => "uint".to_owned(),
            "integer" => "int".to_owned(),
            "number" => "float".to_owned(),
            "boolean" => "bool".to_owned(),
            "string" if schema["contentEncoding"] == "base64" => "base64".to_owned(),
            "array" => format!("[]{}", words(&schema["items"])),
            "object" => format!("map<string,{}>", words(&schema["additionalProperties"])),
            other => other.to_owned(),
        };
        if nullable { format!("{word}?") } else { word }
    }

    /// The ledger's words for what is one thing on the wire.
    fn plain(ledger: &str) -> String {
        ledger
            .replace("duration_ns", "int")
            .replace("map<string,any>", "map<string,any?>")
            .replace("AgentConfig.", "AgentConfig")
            .replace("ACLRules.", "AclRules")
            .replace("time", "string")
    }

    /// Keys that only old client libraries know: no server sends or reads them, or not in this spelling.
    const NOBODY_SENDS: [&str; 4] = ["Allocation.Services", "JobUILink.URL", "Node.Resources", "Node.Reserved"];

    #[test]
    fn every_row_of_the_ledger_of_types_is_declared_as_it_says() {
        let objects = every_type().into_objects();
        let mut differing: Vec<String> = Vec::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for row in LEDGER.lines().skip(1) {
            let cells: Vec<&str> = row.split('\t').collect();
            let [place, wanted] = cells[..] else { panic!("{row}") };
            let (kind, field) = place.rsplit_once('.').unwrap();
            let Some(object) = objects.get(&type_name(kind)) else {
                differing.push(format!("{kind} is not declared"));
                continue;
            };
            *seen.entry(kind).or_default() += 1;
            if wanted == "-" || NOBODY_SENDS.contains(&place) {
                println!("exercises wire-types {place} by {}", module_path!());
                continue;
            }
            let schema = &object["properties"][field];
            let found = words(schema);
            // What an answer leaves out when it is empty may be absent without being null.
            if schema.is_null() {
                differing.push(format!("{place} is not declared"));
            } else if found.trim_end_matches('?') != plain(wanted).trim_end_matches('?') {
                differing.push(format!("{place}: the ledger says {wanted}, the declaration {found}"));
            } else {
                println!("exercises wire-types {place} by {}", module_path!());
            }
        }
        assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
        assert!(seen.len() > 400, "{}", seen.len());
    }
}
