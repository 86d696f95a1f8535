// Package sentineltest is a stand-in for Microsoft Sentinel's upload API and
// the Entra ID token endpoint before it, strict enough to refuse what the real
// ones would refuse, and able to fail in the ways that they do.
//
// It listens on loopback with TLS, as the login library accepts nothing else,
// under a certificate of its own authority ([Server.CAFile]). A sink reaches it
// with this configuration:
//
//	endpoint                   = server.URL()
//	authority_host             = server.URL()
//	disable_instance_discovery = true
//	tls { ca_file = … }
//
// What it enforces: method, path, api-version, workspace GUID, media type, a
// bearer token that it issued for the right scope and that has not expired, 100
// requests a minute and 100 objects a request, exactly the two body members,
// and for each indicator the documented properties with their types, the
// required ones, and valid_until after valid_from. Objects are judged one by
// one, and the answer is 200 if any is accepted, with the others named in it;
// if none is, it is 400. Path, parameters, body and answers are those of
// Microsoft's API description of version 2024-02-01-preview, operation
// ThreatIntelligenceStixObjects_Upload; it says nothing of the objects, for which
// the API's documentation is followed.
package sentineltest
