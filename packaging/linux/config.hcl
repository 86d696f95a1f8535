# Configuration of taxii-forwarder. There is no feed and no sink in it yet, and
# the service does not start without them.
#
# Every attribute, with its default, is explained in
# /usr/share/doc/taxii-forwarder/examples/config.example.hcl
#
# Is this file right? taxii-forwarder check
# Start it, now and with the machine: systemctl enable --now taxii-forwarder
# After a change: systemctl reload taxii-forwarder
#
# Secrets: one file each in /etc/taxii-forwarder/credentials, named in
# /etc/systemd/system/taxii-forwarder.service.d/credentials.conf; a template is
# /usr/share/doc/taxii-forwarder/examples/credentials.conf

#feed "socdefenders" {
#  discovery_url = "https://socdefenders.ai/api/taxii2/"
#  auth "bearer" {
#    token = credential("socdefenders-key")
#  }
#  start_from = "30d"
#}

#sink "splunk_hec" "soc" {
#  url   = "https://splunk.example.com:8088"
#  token = credential("hec-token")
#}
