package main

// manualHead is what stands in the manual page before the commands, manualMiddle
// between them and the exit statuses, manualTail behind these.
const manualHead = `.Dt TAXII-FORWARDER 1
.Os
.Sh NAME
.Nm taxii-forwarder
.Nd keep SIEMs in step with TAXII 2.1 threat intelligence feeds
.Sh SYNOPSIS
.Nm
.Ar command
.Op Ar argument ...
.Nm
.Cm help
.Op Ar command
.Sh DESCRIPTION
.Nm
follows the collections of TAXII 2.1 servers and forwards their indicators to
Splunk (HTTP Event Collector), Microsoft Sentinel, Elasticsearch or OpenSearch,
and files.
An indicator that appears, changes, is revoked or expires at the feed does the
same in each destination.
.Pp
The newest version of every object is kept in a local database.
Each destination reads from there at its own pace: one that is down holds nobody
else up, and what it refuses for good is kept as a dead letter.
.Pp
Flags may stand before or after the operands, and may be written with one dash
or two.
The value of a flag follows as the next argument or after an equals sign.
.Sh COMMANDS
.Bl -tag -width Ds
`

const manualMiddle = `.El
.Sh CONFIGURATION
The configuration is written in HCL.
Blocks
.Ic feed
say what to follow, blocks
.Ic sink
where to deliver, and blocks
.Ic route
what goes where; without any route everything goes everywhere.
.Bd -literal -offset indent
feed "socdefenders" {
  discovery_url = "https://socdefenders.ai/api/taxii2/"
  auth "bearer" {
    token = credential("socdefenders\-key")
  }
}

sink "splunk_hec" "soc" {
  url   = "https://splunk.example.com:8088"
  token = credential("hec\-token")
}
.Ed
.Pp
Secrets are better kept out of it:
.Bl -tag -width "credential(""NAME"")"
.It Fn credential \(dqNAME\(dq
reads a credential that
.Xr systemd 1
hands to the service, see
.Ql LoadCredential=
in
.Xr systemd.exec 5 .
.It Fn env \(dqNAME\(dq
reads an environment variable.
.It Fn file \(dqPATH\(dq
reads a file, without the newline at its end.
.El
.Sh ENVIRONMENT
.Bl -tag -width CREDENTIALS_DIRECTORY
.It Ev CREDENTIALS_DIRECTORY
Directory that
.Fn credential
reads from.
.Xr systemd 1
sets it for the service.
.It Ev GOGC
Garbage collector's target, in per cent; 50 unless set.
.It Ev HTTPS_PROXY , NO_PROXY
Proxy for the feeds and destinations whose configuration names none.
.It Ev NO_COLOR
If set, output to a terminal has no colours.
.It Ev NOTIFY_SOCKET
Where to tell the service manager of readiness, reloads and health, see
.Xr sd_notify 3 .
.El
.Pp
The configuration may read any further variable by
.Fn env .
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/taxii\-forwarder/config.hcl
Configuration that every command reads unless
.Fl \-config
says otherwise.
.It Pa /etc/taxii\-forwarder/credentials/
One file per secret, for
.Ql LoadCredential= .
.It Pa /var/lib/taxii\-forwarder/
State: the replica, positions and dead letters.
It belongs to one running forwarder.
.It Pa /usr/share/doc/taxii\-forwarder/examples/
Annotated configuration with every attribute, and a drop\-in for credentials,
as the packages install them.
.El
.Sh SIGNALS
Of a running forwarder:
.Bl -tag -width "SIGINT, SIGTERM"
.It Dv SIGHUP
reads the configuration again; it is refused as a whole if anything is wrong.
.It Dv SIGINT , SIGTERM
finishes requests under way, for at most 15 seconds, and ends with status 0.
A second one ends it at once.
.El
.Sh EXIT STATUS
.Bl -tag -width 130 -compact
`

const manualTail = `.El
.Sh EXAMPLES
See everything at work without any set\-up:
.Pp
.Dl $ taxii\-forwarder demo
.Pp
List the collections that an account may read:
.Pp
.Dl $ taxii\-forwarder discover https://socdefenders.ai/api/taxii2/ \-\-bearer\-env SOCDEFENDERS_API_KEY
.Pp
Check the configuration and every log\-in, with the service's credentials:
.Bd -literal -offset indent
# env CREDENTIALS_DIRECTORY=/etc/taxii\-forwarder/credentials \e
    taxii\-forwarder check \-\-online
.Ed
.Pp
Put a changed configuration into force:
.Pp
.Dl # systemctl reload taxii\-forwarder
.Pp
Send a destination everything again after its index was lost:
.Pp
.Dl # taxii\-forwarder replay \-\-sink soc
.Pp
Look at what destinations refused, and offer it again:
.Bd -literal -offset indent
# taxii\-forwarder dead\-letters list
# taxii\-forwarder dead\-letters retry \-\-all
.Ed
.Sh SEE ALSO
.Xr journalctl 1 ,
.Xr systemctl 1 ,
.Xr systemd.exec 5
.Rs
.%T TAXII Version 2.1
.%I OASIS
.%U https://docs.oasis\-open.org/cti/taxii/v2.1/taxii\-v2.1.html
.Re
`
