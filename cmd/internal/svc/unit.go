package svc

import (
	"fmt"
	"path"
	"strings"
)

// unitParts are what differs from one installation to another.
type unitParts struct {
	Executable, ConfigPath, StateDir, User string
}

// defaultStateDir is the one that StateDirectory= makes.
const defaultStateDir = "/var/lib/" + DefaultName

// unit returns the text of the systemd unit: notify type, own account, and
// shut off from all it does not need (systemd.exec(5)).
func unit(p unitParts) (string, error) {
	for _, s := range []string{p.Executable, p.ConfigPath, p.StateDir, p.User} {
		if strings.ContainsAny(s, "\n\r\"{}") {
			return "", fmt.Errorf("%q can not stand in a systemd unit; use a path without quotes, braces and line breaks", s)
		}
	}
	state := "StateDirectory=" + DefaultName + "\nStateDirectoryMode=0700"
	if path.Clean(p.StateDir) != defaultStateDir {
		state = `ReadWritePaths="` + escape(p.StateDir) + `"`
	}
	flags := ""
	if p.User == "root" {
		flags = " --allow-root" // else run refuses
	}
	return fmt.Sprintf(unitText, description, escape(p.Executable), escape(p.ConfigPath), flags, p.User, state), nil
}

// escape keeps systemd from reading specifiers and variables into a path
// (systemd.unit(5), "Specifiers"; systemd.service(5), "Command lines").
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "%", "%%", "$", "$$").Replace(s)
}

const unitText = `[Unit]
Description=%s
Documentation=https://docs.oasis-open.org/cti/taxii/v2.1/taxii-v2.1.html
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
ExecStart="%s" run --config "%s"%s
ExecReload="%[2]s" reload --config "%[3]s"
Restart=on-failure
RestartSec=5
TimeoutStartSec=90
TimeoutStopSec=25
WatchdogSec=120
User=%[5]s
%[6]s
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources

[Install]
WantedBy=multi-user.target
`
