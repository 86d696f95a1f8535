package taxiitest

import "time"

// MoreStyle is when a server says more.
type MoreStyle int

// The ways to say more.
const (
	MoreAlways   MoreStyle = iota // true or false
	MoreWhenTrue                  // absent means false
	MoreNever
)

// DateStyle is what is in the X-TAXII-Date-Added headers.
type DateStyle int

// The contents of the headers.
const (
	DatesAdded     DateStyle = iota // what added_after is compared with
	DatesNone                       // there are none
	DatesUndefined                  // the word "undefined"
	DatesValidFrom                  // the indicators' valid_from
	DatesJS                         // as DatesAdded, written by JavaScript
)

// ErrorStyle is the shape of error bodies.
type ErrorStyle int

// The shapes of error bodies.
const (
	ErrorTAXII  ErrorStyle = iota // {"title", "description", "http_status"}
	ErrorNested                   // {"error": {"code", "message"}}
	ErrorOpen                     // {"code", "name", "description"}
	ErrorHTML                     // a page
)

// A Profile is how a server differs from the specification. The zero value
// does not differ.
type Profile struct {
	Name string

	DiscoveryPath string // "" = /taxii2/
	RootPath      string // "" = /api/
	Auth          Auth
	ContentType   string
	Errors        ErrorStyle

	TwoHosts      bool // API roots live at another address than discovery
	RelativeRoots bool // discovery gives paths
	BareRoots     bool // discovery leaves out the slash at the end
	UnlistedRoot  bool // default is not in api_roots
	CamelCase     bool // member names of metadata
	Redirect      bool // collections are at another path, by 301
	Describe      func(collection map[string]any)
	BareAccept    bool // an Accept without version is refused, as is a list
	NoManifest    bool
	RateLimit     int // points in RateWindow; 0 = unlimited
	RateWindow    time.Duration
	ObjectsCost   float64 // points of a request for objects; every other costs 1; 0 = 1
	RateHeaders   bool    // every answer has X-RateLimit-Limit, -Remaining and -Reset; a 429 has no Retry-After
	ResetByDelta  bool    // X-RateLimit-Reset is in seconds from now, not since 1970
	PageCap       int
	LimitMax      int   // a larger limit is refused; 0 = none is
	Fractions     []int // numbers of digits that added_after may have; nil = six

	Next              NextStyle
	NextOnLast        bool // next also on the last page
	NextNull          bool // "next": null where there is none
	PastEnd404        bool
	WholeWithoutLimit bool
	More              MoreStyle
	Bundle            bool
	ObjectsFirst      bool   // more and next come behind objects
	BareWhenEmpty     bool   // an empty page is {}
	FirstObject       []byte // begins every page and counts as none
	MatchSubtype      bool   // match[type] compares the type of an indicator's observable
	Publishing        bool   // every Add of an indicator gives it another STIX id

	Dates     DateStyle
	Unit      time.Duration // of date_added; 0 = µs
	Inclusive bool          // added_after includes its date
	ByCreated bool          // sorts by, compares and shows the STIX created
}

func (p *Profile) defaults() {
	if p.DiscoveryPath == "" {
		p.DiscoveryPath = "/taxii2/"
	}
	if p.RootPath == "" {
		p.RootPath = "/api/"
	}
	if p.ContentType == "" {
		p.ContentType = "application/taxii+json;version=2.1"
	}
	if p.Unit == 0 {
		p.Unit = time.Microsecond
	}
	if p.Fractions == nil {
		p.Fractions = []int{6}
	}
	if p.ObjectsCost == 0 {
		p.ObjectsCost = 1
	}
	if p.RateWindow == 0 {
		p.RateWindow = time.Minute
	}
}

// Profiles returns the real servers that can be played, in a fixed order. What
// each does is from its documentation, its source or reports of its users.
func Profiles() []Profile {
	any06 := []int{0, 1, 2, 3, 4, 5, 6}
	fraction := []int{1, 2, 3, 4, 5, 6}
	return []Profile{
		{
			// Discovery on the apex, roots on www; bundles without more or next, an
			// identity first on every page, dates to the second, a budget of points by
			// the minute, match[type] for what is in the pattern.
			Name: "socdefenders", DiscoveryPath: "/api/taxii2/", RootPath: "/api/taxii2/root/", TwoHosts: true,
			Auth:   Auth{Kind: "any", Token: "soc-key", Username: "api", Password: "soc-key", HeaderName: "X-API-Key", HeaderValue: "soc-key"},
			Errors: ErrorNested, Next: NextNone, More: MoreNever, Bundle: true, PageCap: 1000, LimitMax: 1000, Unit: time.Second, Fractions: any06,
			FirstObject: []byte(`{"type":"identity","spec_version":"2.1","id":"identity--socdefenders","created":"2024-01-01T00:00:00.000Z","modified":"2024-01-01T00:00:00.000Z","name":"SOC Defenders","identity_class":"organization"}`),
			RateLimit:   100, ObjectsCost: 2.5, RateHeaders: true, MatchSubtype: true,
		},
		{
			Name: "medallion", RootPath: "/trustgroup1/", Auth: Auth{Kind: "basic", Username: "admin", Password: "Password0"},
			Next: NextSession, BareWhenEmpty: true, BareAccept: true, Fractions: any06, RelativeRoots: true,
		},
		{
			Name: "opentaxii", RootPath: "/taxii2/root/", RelativeRoots: true, BareRoots: true, WholeWithoutLimit: true,
			Auth: Auth{Kind: "bearer", Token: "jwt"}, Next: NextMicros, Fractions: fraction, Errors: ErrorOpen,
			Describe: nullForFalse,
		},
		{
			Name: "mitre", RootPath: "/api/v21/", BareRoots: true, Next: NextPage, PastEnd404: true, ByCreated: true, Unit: time.Second,
			Dates: DatesJS, CamelCase: true, Fractions: any06, RateLimit: 200, RateWindow: 10 * time.Minute, ContentType: "application/json",
		},
		{
			Name: "opencti", RootPath: "/root/", UnlistedRoot: true, RelativeRoots: true, PageCap: 500, NextOnLast: true,
			Auth: Auth{Kind: "bearer", Token: "opencti"}, Dates: DatesUndefined, ObjectsFirst: true, Unit: time.Millisecond, Fractions: any06,
		},
		{
			Name: "pulsedive", Auth: Auth{Kind: "basic", Username: "taxii2", Password: "pulse-key"}, PageCap: 1000, Next: NextCreated,
			ByCreated: true, Unit: time.Second, Fractions: any06,
		},
		{
			Name: "otx", RootPath: "/taxii/root/", Auth: Auth{Kind: "basic", Username: "otx-key"}, More: MoreWhenTrue, Fractions: any06,
		},
		{
			Name: "crowdsec", Auth: Auth{Kind: "basic", Username: "crowd", Password: "sec"}, Dates: DatesValidFrom, More: MoreWhenTrue, Fractions: any06,
		},
		{
			Name: "misp-taxii", Auth: Auth{Kind: "header", HeaderName: "Authorization", HeaderValue: "misp-key"}, Next: NextTwice, Inclusive: true,
		},
		{
			Name: "arango", Next: NextAfterDate, NextNull: true, Fractions: any06, ObjectsFirst: true,
		},
		{
			Name: "xsoar", RootPath: "/threatintel/", Auth: Auth{Kind: "basic", Username: "xsoar", Password: "xsoar"}, Fractions: fraction, NoManifest: true,
		},
		{
			Name: "cyware", RootPath: "/ctixapi/ctix21/", Auth: Auth{Kind: "basic", Username: "sub", Password: "scriber"}, RateLimit: 200, Fractions: any06,
			More: MoreWhenTrue, PageCap: 500, Publishing: true,
		},
		{
			Name: "limo", RootPath: "/api/v1/taxii2/feeds/", Auth: Auth{Kind: "basic", Username: "guest", Password: "guest"}, Redirect: true, Fractions: any06,
			ContentType: "application/vnd.oasis.taxii+json; version=2.1",
			Describe:    func(m map[string]any) { m["media_types"] = nil; numeric(m) },
		},
	}
}

// ProfileNamed returns a profile by its name.
func ProfileNamed(name string) (Profile, bool) {
	for _, p := range Profiles() {
		if p.Name == name {
			return p, true
		}
	}
	return Profile{}, false
}
