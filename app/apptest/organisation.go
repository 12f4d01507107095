package apptest

// The secrets of the organisation. None may ever be shown.
const (
	ViewerToken    = "viewer-token-2f61c0"
	AuditorToken   = "auditor-token-3b8f52"
	ResponderToken = "responder-token-91be7d"
	AdminToken     = "admin-token-c44a10"
	ReceiverToken  = "receiver-token-77d3fe"
	AdaPassword    = "ada-password-5e3b8c"
)

// Organisation is the configuration of a small one. What is added to it is in its mapping.
const Organisation = `
timezone: Europe/Berlin
mail: {directory: outbox, from: Incident updates <incidents@example.org>}
priorities:
  - name: P1
    summary: Severe customer impact
    criteria: [A core use case is broken for most customers]
    actions: [hotfix, {name: postmortem, within: 5d}]
    inform: [management, stakeholders]
    update_every: 2h
  - name: P2
    summary: Affects the work of some customers
    inform: [stakeholders]
    update_every: 4h
  - name: P3
    summary: Small
management: [board]
groups:
  - name: board
    email: [cto@example.org]
  - name: support
    email: [support@example.org]
slo_files: [slos.yml]
`

// Access is the part of the configuration that knows a token for each role, and the user
// ada. Without it everybody may everything.
const Access = `
access:
  tokens:
    - {name: alertmanager, role: receiver, token_file: secrets/receiver}
    - {name: grafana, role: viewer, token_file: secrets/viewer}
    - {name: grace, role: auditor, token_file: secrets/auditor}
    - {name: bob, role: responder, token_file: secrets/responder}
    - {name: ops, role: admin, token_file: secrets/admin}
  users:
    - {name: ada, role: responder, password_file: secrets/ada}
`

// SLOs is the file of the team notifications, slos.yml.
const SLOs = `
team: notifications
on_call: {email: [oncall@example.org]}
stakeholders: [support]
slos:
  - {id: send, use_case: Application cannot notify its users, sli: availability, service: notifications, priority: P1, runbook: 'https://runbooks.example/send'}
  - {id: delay, use_case: Notifications arrive with a delay, sli: latency, service: notifications, priority: P2}
`
