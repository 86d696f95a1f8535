feed "socdefenders" {
  discovery_url = "https://taxii.example.com/"
}

feed "other" {
  discovery_url = "https://taxii.example.net/"
}

sink "file" "a" {
  path = "a"
}

sink "file" "b" {
  path = "b"
}

route "one" {
  from = [feed.socdefender, feed.other]
  to   = [sink.file.a, sink.elasticsearch.c]
}

route "two" {
  from = ["socdefenders", feed["other"], sink.file.a]
  to   = [sink.file.b, sink.file.b]
}

route "three" {
  from = feed.other
  to   = sink.file.a
}

route "three" {
  from = []
}

route "four" {
  form = [feed.other]
  to   = [file.b]
}
