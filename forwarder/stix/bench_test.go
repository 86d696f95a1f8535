package stix

import (
	"testing"
)

const sampleIndicator = `{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created_by_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","created":"2016-04-29T14:09:00.000Z","modified":"2016-04-29T14:09:00.123456Z","object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"],"name":"Download of a known dropper","description":"The file was served to visitors of a compromised site.","indicator_types":["malicious-activity"],"pattern":"[file:hashes.'SHA-256' = 'ef537f25c895bfa782526529a9b63d97aa631564d5d789c2b765448c8635fb6c']","pattern_type":"stix","valid_from":"2014-02-20T09:00:00.000000Z","confidence":85}`

func BenchmarkDecodeObject(b *testing.B) {
	raw := []byte(sampleIndicator)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeObject(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeIndicator(b *testing.B) {
	raw := []byte(sampleIndicator)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := DecodeIndicator(raw); err != nil {
			b.Fatal(err)
		}
	}
}

var samplePatterns = map[string]string{
	"domain": `[domain-name:value='login.example.com']`,
	"hash":   `[file:hashes.'SHA-256' = 'ef537f25c895bfa782526529a9b63d97aa631564d5d789c2b765448c8635fb6c']`,
	"url":    `[url:value = 'http://www.example.com/a/b?c=d']`,
	"guard":  `[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 443]`,
}

func BenchmarkParsePattern(b *testing.B) {
	for name, pattern := range samplePatterns {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParsePattern(pattern); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDerive(b *testing.B) {
	for name, pattern := range samplePatterns {
		b.Run(name, func(b *testing.B) {
			ind := indicator(pattern)
			b.ReportAllocs()
			for b.Loop() {
				Derive(ind)
				if len(ind.Observables) != 1 {
					b.Fatal(ind.FidelityReason)
				}
			}
		})
	}
}
