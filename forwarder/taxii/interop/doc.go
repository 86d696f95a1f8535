// Package interop tries the TAXII client, and the whole program around it,
// against TAXII 2.1 servers that others wrote: medallion, the reference server
// of the specification's authors, and OpenTAXII, which is EclecticIQ's. What
// package taxiitest plays was read somewhere; what runs here is the thing.
//
// # Running
//
// The tests are behind the build tag interop, as they need Python packages that
// .ci/interop installs into a virtual environment of its own, at the versions in
// .ci/interop-requirements.txt:
//
//	.ci/interop
//
// or, with an environment at hand,
//
//	INTEROP_VENV=DIR go test -tags interop ./forwarder/taxii/interop/...
//
// Under the tag a server that can not be started is a failure, never a skip.
//
// # How
//
// Each server is a process that a test starts, on loopback and a port of the
// system's choice, by one of the scripts in testdata. The scripts fill the
// server through its own data file (medallion) or programming interface
// (OpenTAXII), serve it with the HTTP server that both packages run on, and say
// on standard output, one JSON object a line, where they listen and what happens
// inside. They end when standard input does, so that none outlives its test.
//
// One thing is changed in one server: for every request without a token,
// medallion compares all pairs of objects and of an object and a manifest entry,
// and reads their dates and versions of STIX anew each time. That takes minutes
// for the 3,000 objects here. The script makes these two functions faster; what
// is compared and answered stays medallion's.
//
// # What was learned
//
// Of medallion 3.0.0:
//   - A next token is a state at the server. It is the same on every page, each
//     use moves it on, and it is forgotten some time after the first page: 400.
//   - An object without a manifest entry is never served.
//   - Dates are sorted as text, so that dates with and without a fraction come
//     in the wrong order, on one page and across pages.
//   - Discovery is answered as it stands in the data file, whatever the host
//     that was asked, and may name API roots that the server does not have.
//   - 401 has a body of plain text that is said to be HTML.
//
// Of OpenTAXII 0.9.3:
//   - As released, every answer that has the id of a collection or of a POST's
//     status is a 500 (eclecticiq/OpenTAXII#243, mended in #289): collections
//     can not be listed, only read by who knows their ids. The tests mend that
//     one thing, but for one that shows it.
//   - A next token made from a date without microseconds is refused: 400. What is
//     wrong is told in an object, by parameter, where others have a text.
//   - spec_version of every object is its type.
//   - can_read and can_write are null, not false, for who has not logged in.
//   - An API root that is not a UUID is a 500, not a 404.
//   - Its own accounts can not be allowed to read single collections of TAXII 2:
//     all or none.
package interop
