feed "a" {
  discovery_url = "https://taxii.example.com/"
}

sink "file" "a" {
  path = "a"
}

sink "file" "b" {
  path = "b"
}

route "one" {
  from  = [feed.a]
  to    = [sink.file.a]
  where = indicator.confidnce >= 50 && indicator.tlp != "purple" || matches("(", indicator.name)
}

route "two" {
  from  = [feed.a]
  to    = [sink.file.b]
  where = (
    contains(indicator.observable_types, "ipv4") &&
    indicator.created > "last week" ||
    confidence == 3 ||
    indicator.labels == ["x"] ||
    indicator.name
  )
}
