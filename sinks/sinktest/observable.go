package sinktest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"taxii-forwarder/forwarder/intel"
)

// kind makes the n-th observable of one kind.
type kind = func(n int) intel.Observable

// Domain returns the n-th domain-name observable.
func Domain(n int) intel.Observable { return domain(n) }

// common returns the kinds that every sink can hold.
func common() []kind {
	return []kind{ipv4, domain, url, file, ipv6, email}
}

// rare returns the other kinds, which some sinks can not hold.
func rare() []kind {
	return []kind{
		ipv4Range, ipv6Range, ipv4WithPort, fileMD5, fileAllHashes, fileByName, fileByPath,
		artifact, directory, emailMessage, registryKey, registryValue, process, mutex, userAccount,
		certificate, certificateHash, asn, mac, software, userAgent,
	}
}

func exact(t intel.ObservableType, value string, fields ...intel.Field) intel.Observable {
	return intel.Observable{Type: t, Value: value, Fields: fields, Fidelity: intel.FidelityExact}
}

func superset(o intel.Observable, fields ...intel.Field) intel.Observable {
	o.Fields = append(o.Fields, fields...)
	o.Fidelity = intel.FidelitySuperset
	return o
}

func field(name, value string) intel.Field { return intel.Field{Name: name, Value: value} }

func ipv4(n int) intel.Observable {
	prefixes := []string{"192.0.2.", "198.51.100.", "203.0.113."}
	return exact(intel.TypeIPv4, prefixes[n/256%3]+strconv.Itoa(n%256))
}

func ipv4Range(n int) intel.Observable {
	return exact(intel.TypeIPv4, fmt.Sprintf("198.51.100.%d/28", n%16*16))
}

func ipv6(n int) intel.Observable {
	return exact(intel.TypeIPv6, fmt.Sprintf("2001:db8::%x:1", n%0xfffe+1))
}

func ipv6Range(n int) intel.Observable {
	return exact(intel.TypeIPv6, fmt.Sprintf("2001:db8:%x::/48", n%0xfffe+1))
}

func ipv4WithPort(n int) intel.Observable {
	return superset(ipv4(n), field(intel.FieldDstPort, "8443"), field(intel.FieldProtocol, "tcp"))
}

func domain(n int) intel.Observable {
	return exact(intel.TypeDomain, fmt.Sprintf("host-%d.example.com", n))
}

func url(n int) intel.Observable {
	return exact(intel.TypeURL, fmt.Sprintf("https://host-%d.example.net:8443/a/b?id=%d&x=%%20y#f", n, n))
}

func email(n int) intel.Observable {
	return exact(intel.TypeEmail, fmt.Sprintf("sender-%d@mail.example.org", n), field(intel.FieldEmailRole, "from"))
}

func sha256Of(n int) string {
	sum := sha256.Sum256(strconv.AppendInt(nil, int64(n), 10))
	return hex.EncodeToString(sum[:])
}

func md5Of(n int) string {
	sum := md5.Sum(strconv.AppendInt(nil, int64(n), 10))
	return hex.EncodeToString(sum[:])
}

func sha1Of(n int) string {
	sum := sha1.Sum(strconv.AppendInt(nil, int64(n), 10))
	return hex.EncodeToString(sum[:])
}

func file(n int) intel.Observable {
	return exact(intel.TypeFile, sha256Of(n), field(intel.FieldSHA256, sha256Of(n)))
}

func fileMD5(n int) intel.Observable {
	return exact(intel.TypeFile, md5Of(n), field(intel.FieldMD5, md5Of(n)))
}

func fileAllHashes(n int) intel.Observable {
	return superset(exact(intel.TypeFile, sha256Of(n),
		field(intel.FieldMD5, md5Of(n)), field(intel.FieldSHA1, sha1Of(n)), field(intel.FieldSHA256, sha256Of(n))),
		field(intel.FieldName, "setup.exe"), field(intel.FieldSize, "48640"))
}

func fileByName(n int) intel.Observable {
	name := fmt.Sprintf("invoice-%d.doc", n)
	return exact(intel.TypeFile, name, field(intel.FieldName, name))
}

func fileByPath(n int) intel.Observable {
	path := fmt.Sprintf(`C:\Users\Public\run-%d.exe`, n)
	return exact(intel.TypeFile, path, field(intel.FieldPath, path))
}

func artifact(n int) intel.Observable {
	return exact(intel.TypeArtifact, sha256Of(n), field(intel.FieldSHA256, sha256Of(n)))
}

func directory(n int) intel.Observable {
	path := fmt.Sprintf("/var/tmp/.cache-%d", n)
	return exact(intel.TypeDirectory, path, field(intel.FieldPath, path))
}

func emailMessage(n int) intel.Observable {
	subject := fmt.Sprintf("Invoice %d is overdue", n)
	return exact(intel.TypeEmailMessage, subject, field(intel.FieldSubject, subject))
}

func registryKey(n int) intel.Observable {
	key := fmt.Sprintf(`HKEY_LOCAL_MACHINE\Software\Example\Run%d`, n)
	return exact(intel.TypeRegistryKey, key, field(intel.FieldKey, key))
}

func registryValue(n int) intel.Observable {
	return superset(registryKey(n), field(intel.FieldValueName, "Updater"), field(intel.FieldValueData, `C:\Users\Public\u.exe`))
}

func process(n int) intel.Observable {
	line := fmt.Sprintf("powershell -enc %d", n)
	return exact(intel.TypeProcess, line, field(intel.FieldCommandLine, line))
}

func mutex(n int) intel.Observable {
	name := fmt.Sprintf(`Global\example-%d`, n)
	return exact(intel.TypeMutex, name, field(intel.FieldName, name))
}

func userAccount(n int) intel.Observable {
	login := fmt.Sprintf("svc_%d", n)
	return exact(intel.TypeUserAccount, login, field(intel.FieldAccountLogin, login))
}

func certificate(n int) intel.Observable {
	serial := fmt.Sprintf("%016x", n+0x3a00)
	return exact(intel.TypeCertificate, serial, field(intel.FieldSerialNumber, serial), field(intel.FieldIssuer, "CN=Example CA,O=Example"))
}

func certificateHash(n int) intel.Observable {
	return exact(intel.TypeCertificate, sha1Of(n), field(intel.FieldSHA1, sha1Of(n)))
}

func asn(n int) intel.Observable {
	number := strconv.Itoa(64496 + n%16) // RFC 5398
	return exact(intel.TypeASN, number, field(intel.FieldNumber, number))
}

func mac(n int) intel.Observable {
	return exact(intel.TypeMAC, fmt.Sprintf("00:00:5e:00:53:%02x", n%256)) // RFC 7042
}

func software(n int) intel.Observable {
	name := fmt.Sprintf("Example Player %d", n)
	return exact(intel.TypeSoftware, name, field(intel.FieldName, name))
}

func userAgent(n int) intel.Observable {
	agent := fmt.Sprintf("Mozilla/5.0 (compatible; Example/%d.0)", n)
	return exact(intel.TypeUserAgent, agent, field(intel.FieldUserAgent, agent))
}
