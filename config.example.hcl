# taxii-forwarder: every block and attribute there is.
#
# What stands here without a "#" has to be given; a "#" right before a name
# means that the line may be left out and shows the default, or an example where
# there is no default.
#
# - taxii-forwarder check --config FILE: is this file right?
# - taxii-forwarder check --config FILE --online: do the logins work?
#
# Secrets are better kept outside of this file:
# - env("NAME"): an environment variable
# - file("path"): the content of a file, without the newline at its end
# - credential("name"): a credential from systemd (LoadCredential=name:path)
#
# Durations are numbers with a unit out of ms, s, m, h and d: "90s", "1h30m".

log {
  #level  = "info" # trace, debug, info, warn, error
  #format = "text" # text, json
}

state {
  # One directory for one running forwarder. On Windows the default is
  # %ProgramData%\taxii-forwarder.
  #dir = "/var/lib/taxii-forwarder"
}

# Status page, /status, /metrics, /healthz, /readyz. On a loopback address, or
# "off"; other machines get at them with the token, or where anonymous says that
# a firewall or a proxy decides who may.
http {
  #listen    = "127.0.0.1:9464"
  #token     = credential("status-token") # Bearer, or the password of any user; at least 16 characters
  #anonymous = false
  #tls {
  #  cert_file = "/etc/taxii-forwarder/status.crt" # with its chain; read again when renewed
  #  key_file  = "/etc/taxii-forwarder/status.key"
  #}
}

# ---------------------------------------------------------------------------
# Feeds: what to follow. A feed is one account at one TAXII 2.1 server.
# ---------------------------------------------------------------------------

feed "socdefenders" {
  discovery_url = "https://socdefenders.ai/api/taxii2/"

  auth "bearer" {
    token = env("SOCDEFENDERS_API_KEY")
  }

  # Ids, aliases or titles; "*" is every collection that may be read.
  #collections = ["*"]

  #poll_interval = "15m"

  # How far the first poll reaches back: "all", a duration, or a time such as
  # "2026-01-31T00:00:00Z".
  #start_from = "all"

  # Walk the whole feed now and then, to find what the server has deleted. Off
  # unless set.
  #resync_interval = "7d"

  # Each poll asks again for what was added shortly before the last one ended,
  # as servers may publish late. What is known already goes nowhere.
  #overlap = "5m"

  # Objects to ask for in one page. Servers may send fewer.
  #page_size = 1000

  # Let the server filter. Relationships, identities and markings enrich
  # indicators, so leave them in.
  #match_types = ["indicator", "identity", "marking-definition", "relationship", "malware", "threat-actor", "attack-pattern"]
  #match_spec_versions = ["2.1"]

  # What makes an indicator the same one: its STIX "id", or its "content" (pattern
  # and producer) where the server gives it a new id with every publication.
  #identity = "id"

  # Credentials go to hosts of the URL's own domain (example.com and everything
  # below it) and to these: "host", "host:port" or "*.domain".
  #trusted_hosts = ["api.example.net"]

  # The default is what HTTPS_PROXY and NO_PROXY say; "direct" is no proxy.
  #proxy_url = "http://proxy.example.com:3128"

  # Until the server begins to answer, and between two pieces of an answer.
  #timeout = "60s"

  #user_agent = "taxii-forwarder/1.0"

  # Every tls block, of feeds and of sinks, has these attributes.
  #tls {
  #  ca_file              = "/etc/taxii-forwarder/ca.pem"     # instead of the system's authorities
  #  cert_file            = "/etc/taxii-forwarder/client.pem" # client certificate, renewed without a restart
  #  key_file             = "/etc/taxii-forwarder/client.key"
  #  server_name          = "taxii.example.com"               # expected in the certificate, if not the URL's host
  #  min_version          = "1.2"                             # "1.3"
  #  cert_fingerprint     = "0000000000000000000000000000000000000000000000000000000000000000" # SHA-256 of the server's certificate or its authority's
  #  insecure_skip_verify = false                             # true: anyone on the way can read and change everything
  #}
}

# The other ways to log in. api_root_url instead of discovery_url does without
# discovery.
#feed "basic-login" {
#  api_root_url = "https://taxii.example.com/root/"
#  auth "basic" {
#    username = "forwarder"
#    password = env("TAXII_PASSWORD") # may be left out
#  }
#}
#feed "own-header" {
#  discovery_url = "https://taxii.example.net/taxii2/"
#  auth "header" {
#    name  = "X-API-Key"
#    value = file("/etc/taxii-forwarder/api-key")
#  }
#}
#feed "open" {
#  discovery_url = "https://taxii.example.org/taxii2/"
#  auth "none" {
#  }
#}

# ---------------------------------------------------------------------------
# Sinks: where to deliver. Remove what you do not have.
# ---------------------------------------------------------------------------

# Splunk, by the HTTP Event Collector.
sink "splunk_hec" "soc" {
  url   = "https://splunk.example.com:8088"
  token = credential("hec-token")

  # What the token says, unless set.
  #index = "threat_intel"
  #host  = "taxii-forwarder"

  #source     = "taxii:socdefenders" # by default taxii:<feed>/<collection>
  #sourcetype = "stix:indicator"

  # Wait until events are indexed: "auto" does if the token has acknowledgement
  # switched on, "required" insists, "off" trusts the answer to the request.
  #ack         = "auto"
  #ack_timeout = "5m" # an event without its acknowledgement is sent again then

  #gzip = true
  #batch {
  #  max_events = 500
  #  max_bytes  = 1000000 # before compression
  #}

  #proxy_url = "http://proxy.example.com:3128"
  #timeout   = "30s"
  #tls {
  #  ca_file = "/etc/taxii-forwarder/ca.pem"
  #}
}

# Microsoft Sentinel, by the STIX objects upload API.
sink "sentinel" "corp" {
  workspace_id = "00000000-0000-0000-0000-000000000000"

  # The identity needs the role "Microsoft Sentinel Contributor" on the
  # workspace.
  credential "client_secret" {
    tenant_id     = "00000000-0000-0000-0000-000000000000"
    client_id     = "00000000-0000-0000-0000-000000000000"
    client_secret = env("AZURE_CLIENT_SECRET")
  }

  # The feed's name, unless set. It is part of an object's identity in Sentinel:
  # with another one, everything is there twice.
  #source_system = "SOC Defenders"

  #cloud = "public" # or "government"

  # An indicator without an end is valid this long from when it is forwarded.
  #default_validity = "365d"

  # Patterns that are more than one value: "forward" them as they are, "split"
  # them into one object per value, or "skip" them.
  #compound = "forward"

  # Pattern languages to send; all unless set.
  #pattern_types = ["stix"]

  # What the API grants to one identity.
  #requests_per_minute = 100

  #proxy_url = "http://proxy.example.com:3128"
  #timeout   = "60s"
  #tls {
  #  ca_file = "/etc/taxii-forwarder/ca.pem"
  #}

  # For private clouds and tests.
  #api_version                = "2024-02-01-preview"
  #endpoint                   = "https://api.ti.sentinel.azure.com"
  #authority_host             = "https://login.microsoftonline.com/"
  #scope                      = "https://management.azure.com/.default"
  #disable_instance_discovery = false
}

# The other ways to log in to Azure.
#sink "sentinel" "with-certificate" {
#  workspace_id = "00000000-0000-0000-0000-000000000000"
#  credential "client_certificate" {
#    tenant_id              = "00000000-0000-0000-0000-000000000000"
#    client_id              = "00000000-0000-0000-0000-000000000000"
#    certificate_file       = "/etc/taxii-forwarder/azure.pem" # certificate and key, PEM or PKCS #12
#    certificate_password   = ""                               # of a PKCS #12 file
#    send_certificate_chain = false                            # true for subject name and issuer authentication
#  }
#}
#sink "sentinel" "on-azure" {
#  workspace_id = "00000000-0000-0000-0000-000000000000"
#  credential "managed_identity" {
#    client_id   = "00000000-0000-0000-0000-000000000000" # of a user-assigned identity; or:
#    object_id   = ""
#    resource_id = ""
#  }
#}
#sink "sentinel" "on-kubernetes" {
#  workspace_id = "00000000-0000-0000-0000-000000000000"
#  credential "workload_identity" {
#    tenant_id  = "00000000-0000-0000-0000-000000000000" # the three are AZURE_… variables unless set
#    client_id  = "00000000-0000-0000-0000-000000000000"
#    token_file = "/etc/taxii-forwarder/token"
#  }
#}
#sink "sentinel" "my-login" {
#  workspace_id = "00000000-0000-0000-0000-000000000000"
#  credential "azure_cli" { # or "default", which tries them all
#    tenant_id    = "00000000-0000-0000-0000-000000000000"
#    subscription = "SOC"
#  }
#}

# Elasticsearch and Kibana's indicator match rules.
sink "elasticsearch" "elastic" {
  addresses = ["https://es.example.com:9200"]
  api_key   = env("ES_API_KEY")

  # An index, alias or data stream name that matches logs-ti_* is where Kibana
  # looks.
  #index = "logs-ti_taxii"

  #distribution = "elasticsearch" # or "opensearch", "serverless"

  # Install the index template; false if somebody else does.
  #manage_template = true

  #gzip = true
  #batch {
  #  max_documents = 5000
  #  max_bytes     = 5000000 # before compression
  #}

  #proxy_url = "http://proxy.example.com:3128"
  #timeout   = "60s"
  #tls {
  #  cert_fingerprint = "0000000000000000000000000000000000000000000000000000000000000000" # as Elasticsearch shows it at its first start
  #}
}

#sink "elasticsearch" "elastic-cloud" {
#  cloud_id = "name:ZXhhbXBsZS5jb20kZXMka2liYW5h"
#  api_key  = env("ES_API_KEY")
#}
#sink "elasticsearch" "opensearch" {
#  distribution = "opensearch"
#  addresses    = ["https://opensearch.example.com:9200"]
#  username     = "forwarder"
#  password     = env("OPENSEARCH_PASSWORD")
#}

# A file, one JSON document a line.
sink "file" "archive" {
  path = "/var/lib/taxii-forwarder/indicators.ndjson" # "-" is standard output

  # What a line looks like: "indicator", "stix" (as it came), or as one of the
  # other sinks would send it: "splunk", "sentinel", "ecs".
  #format = "indicator"

  #rotate {
  #  max_bytes = 100000000
  #  keep      = 5
  #}
}

# ---------------------------------------------------------------------------
# Routes: what goes where. Without any route, everything goes everywhere.
# ---------------------------------------------------------------------------

route "iocs" {
  from = [feed.socdefenders]
  to   = [sink.splunk_hec.soc, sink.sentinel.corp, sink.elasticsearch.elastic]

  # Only indicators for which this is true; one that ceases to be is withdrawn.
  #
  # - text: indicator.id, .name, .type, .pattern_type, .created_by, .feed, .collection
  # - a number, 0 to 100: indicator.confidence
  # - clear < green < amber < amber+strict < red: indicator.tlp
  # - lists of text: indicator.labels, .indicator_types, .observable_types
  # - times: indicator.created, .modified, .valid_until
  # - true or false: indicator.revoked
  # - operators: == != < <= > >= && || ! ( ) and c ? a : b
  # - functions: contains(list, x), anyof(list, list), length(x), lower(x)
  # - upper(x), startswith(x, text), endswith(x, text), strcontains(x, text)
  # - matches("regex", x), ago("30d")
  #
  # A comparison with something that an indicator lacks is false (and so != is
  # true); == null and != null ask for that.
  #where = indicator.confidence >= 50 && indicator.tlp != "red" && indicator.created > ago("365d")
}

route "archive" {
  from = [feed.socdefenders]
  to   = [sink.file.archive]
}
