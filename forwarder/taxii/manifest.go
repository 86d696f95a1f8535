package taxii

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"taxii-forwarder/forwarder/transport"
)

// dateAdded asks the manifest (§5.3) when an object was added, for servers that
// do not say it with their pages. It returns no stamp when the manifest does
// not know either.
func (r *walker) dateAdded(ctx context.Context, raw []byte) stamp {
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(raw, &object) != nil || object.ID == "" || r.noManifest {
		return stamp{}
	}
	v := url.Values{"match[id]": {object.ID}, "limit": {strconv.Itoa(r.base0)}}
	resp, err := r.c.get(ctx, r.base+"/manifest/?"+v.Encode(), &r.res.Requests)
	if err != nil {
		r.log.Debug("the manifest is of no help", "error", err)
		r.noManifest = true
		return stamp{}
	}
	defer resp.Body.Close()
	body, err := bodyOf(resp)
	if err != nil {
		return stamp{}
	}
	data, err := transport.ReadLimited(body, maxMeta)
	if err != nil {
		return stamp{}
	}
	m, err := parseMembers(data)
	if err != nil {
		return stamp{}
	}
	var newest stamp
	for _, v := range m.list("objects") {
		e, err := parseMembers(v)
		if err != nil || e.text("id") != object.ID {
			continue
		}
		if s, ok := parseStamp(e.text("dateadded")); ok && s.time.After(newest.time) {
			newest = s
		}
	}
	if d := date(resp); newest.ok() && !d.IsZero() && newest.time.After(d.Add(clockSkew)) {
		return stamp{}
	}
	return newest
}
