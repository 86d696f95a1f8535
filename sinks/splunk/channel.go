package splunk

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
)

// channel is the state that one Deliver at a time shares with Splunk: the
// channel id that its acknowledgments belong to, and the cookies by which a
// load balancer keeps it at the one indexer that knows them.
type channel struct {
	id    string
	jar   *cookiejar.Jar
	moved bool // a cookie changed: what is unacknowledged is with another indexer
}

// volatileCookies are re-issued with every answer without the target changing
// (AWS Application Load Balancer), so that a change of theirs means nothing.
var volatileCookies = []string{"AWSALB", "AWSALBCORS", "AWSALBTG", "AWSALBTGCORS"}

func newChannel() *channel {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic("cookiejar.New: " + err.Error()) // never: it has no failing path
	}
	return &channel{id: newGUID(), jar: jar}
}

// newGUID returns a random UUID (RFC 9562 §5.4).
func newGUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// prepare adds the channel and its cookies to a request.
func (ch *channel) prepare(req *http.Request) {
	req.Header.Set("X-Splunk-Request-Channel", ch.id)
	for _, c := range ch.jar.Cookies(req.URL) {
		req.AddCookie(c)
	}
}

// learn keeps an answer's cookies and notices when one changed.
func (ch *channel) learn(u *url.URL, resp *http.Response) {
	if len(resp.Header["Set-Cookie"]) == 0 {
		return
	}
	before := ch.steady(u)
	ch.jar.SetCookies(u, resp.Cookies())
	if len(before) > 0 && !slices.Equal(before, ch.steady(u)) {
		ch.moved = true
	}
}

// steady returns the cookies for u that tell a target, in order.
func (ch *channel) steady(u *url.URL) []string {
	var all []string
	for _, c := range ch.jar.Cookies(u) {
		if !slices.Contains(volatileCookies, strings.ToUpper(c.Name)) {
			all = append(all, c.Name+"="+c.Value)
		}
	}
	slices.Sort(all)
	return all
}
