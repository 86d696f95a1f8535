package elasticsearch

import (
	"maps"

	"github.com/go-json-experiment/json"
)

// object is a JSON object under construction.
type object = map[string]any

// maxIndexed is the most characters of a string that are indexed: four bytes
// each still fit Lucene's longest term. Longer values are in _source only.
const maxIndexed = 8191

// templateVersion goes up with every change of the mapping; [Sink] brings an
// older one at the server up to date.
const templateVersion = 1

// properties returns the mapping of the documents that [Encoder] writes. Nothing
// is mapped dynamically: a feed can not make the index grow fields.
func properties(distribution string) object {
	keyword := object{"type": "keyword", "ignore_above": maxIndexed}
	wildcard := object{"type": "wildcard", "ignore_above": maxIndexed}
	if distribution == OpenSearch {
		wildcard = keyword // OpenSearch has the type wildcard from 2.15 on only
	}
	date := object{"type": "date"}
	long := object{"type": "long"}
	ip := object{"type": "ip"}
	each := func(t object, names ...string) object {
		m := object{}
		for _, n := range names {
			m[n] = t
		}
		return m
	}
	with := func(all ...object) object {
		m := object{}
		for _, o := range all {
			maps.Copy(m, o)
		}
		return m
	}
	sub := func(all ...object) object { return object{"properties": with(all...)} }
	entity := each(keyword, "id", "name", "reference")
	name := sub(each(keyword, "common_name", "distinguished_name"))

	indicator := sub(
		each(keyword, "id", "type", "name", "description", "provider", "reference", "confidence", "mac"),
		each(date, "first_seen", "last_seen", "modified_at"),
		each(long, "port", "sightings"),
		each(ip, "ip"),
		each(object{"type": "ip_range"}, "ip_range"),
		object{
			"as":    sub(each(long, "number")),
			"email": sub(each(keyword, "address")),
			"file": sub(
				each(keyword, "name", "path", "directory", "extension"), each(long, "size"),
				object{
					"hash": sub(each(keyword, "md5", "sha1", "sha256", "sha384", "sha512", "ssdeep", "tlsh")),
					"pe":   sub(each(keyword, "imphash")),
				}),
			"marking": sub(each(keyword, "tlp", "tlp_version")),
			"registry": sub(each(keyword, "hive", "key", "path", "value"),
				object{"data": sub(each(wildcard, "strings"))}),
			"url": sub(each(wildcard, "full", "original", "path"), each(long, "port"),
				each(keyword, "domain", "registered_domain", "subdomain", "top_level_domain", "scheme", "query", "fragment", "extension", "username", "password")),
			"x509": sub(each(keyword, "serial_number"), object{"issuer": name, "subject": name}),
		})
	stix := sub(
		each(keyword, "id", "spec_version", "collection", "name", "pattern_type", "indicator_types", "labels",
			"created_by_ref", "created_by", "tlp", "object_marking_refs", "fidelity", "fidelity_reason"),
		each(date, "created", "modified", "valid_from", "valid_until"),
		each(long, "confidence"),
		object{
			"pattern":    wildcard,
			"related":    sub(each(keyword, "type", "id", "name", "external_id")),
			"observable": sub(each(keyword, "type", "value", "fidelity")),
		})
	stix["dynamic"] = false
	return object{
		"@timestamp": date,
		"ecs":        sub(each(keyword, "version")),
		"event":      sub(each(keyword, "kind", "category", "type", "module", "dataset"), each(date, "ingested")),
		"tags":       keyword,
		"related":    sub(each(ip, "ip"), each(keyword, "hash", "hosts", "user")),
		"threat": sub(each(keyword, "framework"), object{
			"feed":      sub(each(keyword, "name")),
			"indicator": indicator,
			"software":  sub(entity, each(keyword, "type")),
			"group":     sub(entity),
			"tactic":    sub(entity),
			"technique": sub(entity, object{"subtechnique": sub(entity)}),
		}),
		"stix": stix,
	}
}

// mappings is what goes into the component template, and into an index that
// exists already.
func mappings(distribution string) object {
	return object{
		"dynamic":    false,
		"_meta":      object{"managed_by": "taxii-forwarder", "version": templateVersion},
		"properties": properties(distribution),
	}
}

// componentTemplate holds the mapping, so that an admin's own index template
// can be composed of it.
func componentTemplate(distribution string) []byte {
	return encode(object{
		"template": object{"mappings": mappings(distribution)},
		"version":  templateVersion,
		"_meta":    object{"managed_by": "taxii-forwarder", "description": "threat indicators from TAXII feeds"},
	})
}

// indexTemplate applies the component template to the one index. Its priority
// is above all that comes with the product (Fleet: up to 500).
func indexTemplate(distribution, index string) []byte {
	t := object{
		"index_patterns": []string{index},
		"priority":       501,
		"version":        templateVersion,
		"composed_of":    []string{componentName(index)},
		"_meta":          object{"managed_by": "taxii-forwarder", "description": "threat indicators from TAXII feeds"},
	}
	if distribution != Serverless { // where replicas are the platform's affair
		t["template"] = object{"settings": object{"index": object{"auto_expand_replicas": "0-1"}}}
	}
	return encode(t)
}

func componentName(index string) string { return index + "@mappings" }

func encode(v any) []byte {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic("elasticsearch: " + err.Error()) // only our own literals come here
	}
	return b
}
