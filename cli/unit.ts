// The systemd unit of a site. It keeps what the program needs (a data directory, two address families, low ports, a JIT)
// and gives up all else; tests/long proves that it scores 2.0 or better in `systemd-analyze security`.

/** `bin`: absolute path of the executable, without white space. */
export const unitText = (bin: string): string => `# Written by mailsite install.
[Unit]
Description=mailsite: a whole mail site in one executable
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${bin} run
# the runtime obeys these before the program does
UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS LD_PRELOAD

# The only stop is a crash, and start is recovery.
Restart=always
RestartSec=100ms
KillMode=control-group
KillSignal=SIGKILL
SuccessExitStatus=SIGKILL
TimeoutStopSec=2s
OOMPolicy=continue
LimitNOFILE=262144

# A user of its own, made when the service starts; the data is in /var/lib/mailsite. Beside it is the one other folder that
# it may write to, for snapshots: another disk may be mounted there.
DynamicUser=yes
User=mailsite
StateDirectory=mailsite mailsite-snapshots
StateDirectoryMode=0700
UMask=0077

# Ports below 1024, and no other right.
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX

# MemoryDenyWriteExecute stays off: it would turn the JIT off. PrivateUsers too: it would take the low ports away.
DevicePolicy=closed
KeyringMode=private
LockPersonality=yes
PrivateDevices=yes
PrivateTmp=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources @obsolete
# the proof of a snapshot gives way to mail
SystemCallFilter=setpriority

[Install]
WantedBy=multi-user.target
`;
