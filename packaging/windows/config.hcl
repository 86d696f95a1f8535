# Configuration of taxii-forwarder. There is no feed and no sink in it yet, and
# the service does not start without them.
#
# - Every attribute, with its default:
#   C:\Program Files\taxii-forwarder\config.example.hcl
# - Is this file right? taxii-forwarder check
# - Start, in an elevated prompt: taxii-forwarder service start
# - After a change: taxii-forwarder reload
#
# Secrets: one file each in this directory, which only administrators, SYSTEM and
# the service may enter. Write paths with "/", as in HCL "\" is special.

#feed "socdefenders" {
#  discovery_url = "https://socdefenders.ai/api/taxii2/"
#  auth "bearer" {
#    token = file("C:/ProgramData/taxii-forwarder/socdefenders-key")
#  }
#  start_from = "30d"
#}

#sink "splunk_hec" "soc" {
#  url   = "https://splunk.example.com:8088"
#  token = file("C:/ProgramData/taxii-forwarder/hec-token")
#}
