package elasticsearch

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// contentWith decides whether what is in place will do when the credentials may
// not manage templates: the index, whoever made it, or else a template that
// they may see. It returns denied, or what is wrong with the index, when not.
func (s *Sink) contentWith(ctx context.Context, denied *intel.Failure, template bool) error {
	types, visible, err := s.fieldTypes(ctx)
	if err != nil {
		return err
	}
	exists := len(types) > 0
	if !visible {
		if exists, err = s.indexExists(ctx); err != nil {
			return err
		}
	} else if err := s.misfit(types); err != nil {
		return err
	}
	switch {
	case exists:
		s.warn(fmt.Sprintf("may not manage index templates; index %s is used as it is (grant the cluster privilege manage_index_templates, or set manage_template = false)", s.config.Index))
	case template:
		s.warn(fmt.Sprintf("may not manage index templates; template %s is used as it is (grant the cluster privilege manage_index_templates, or set manage_template = false)", s.config.Index))
	default:
		return denied
	}
	return nil
}

// essential are the fields without whose types no rule would find an indicator.
var essential = []struct{ field, kind string }{
	{"@timestamp", "date"},
	{"event.module", "keyword"},
	{"threat.indicator.ip", "ip"},
}

// misfit is the failure of an index whose mapping does not fit the documents,
// as far as it is essential; nil when it does or there is no index.
func (s *Sink) misfit(types map[string]string) error {
	if len(types) == 0 {
		return nil
	}
	for _, e := range essential {
		have := types[e.field]
		if strings.HasPrefix(have, e.kind) { // date_nanos will do
			continue
		}
		wrong := fmt.Sprintf("maps %s as %s instead of %s", e.field, have, e.kind)
		if have == "" {
			wrong = "has no mapping for " + e.field
		}
		return intel.Fail(intel.FailConfig, "index %s %s, and the credentials may not manage index templates", s.config.Index, wrong).
			WithHint("the rules would find nothing there; delete the index and grant the cluster privilege manage_index_templates")
	}
	return nil
}

// fieldTypes returns the types of the essential fields in the index, by
// _field_caps, for which the index privilege read is enough; empty when there
// is no index. visible is false when the credentials do not allow even that.
func (s *Sink) fieldTypes(ctx context.Context) (types map[string]string, visible bool, err error) {
	var fields []string
	for _, e := range essential {
		fields = append(fields, e.field)
	}
	status, r, err := s.request(ctx, esapi.FieldCapsRequest{Index: []string{s.index()}, Fields: append(fields, "_id")})
	switch {
	case err != nil:
		return nil, false, err
	case status == http.StatusNotFound:
		return nil, true, nil
	case status == http.StatusForbidden:
		return nil, false, nil
	case status != http.StatusOK:
		return nil, false, s.statusFailure(r, replyError(r.body))
	}
	var answer struct {
		Fields map[string]map[string]struct{} `json:"fields"`
	}
	if err := json.Unmarshal(r.body, &answer, lenient); err != nil {
		return nil, false, intel.Fail(intel.FailProtocol, "read the field types of %s: %w", s.config.Index, err)
	}
	types = make(map[string]string)
	for field, kinds := range answer.Fields {
		for kind := range kinds {
			types[field] = kind
		}
	}
	return types, true, nil
}

// indexExists reports whether the index exists; what may not be seen does not.
// To see it takes the index privilege view_index_metadata or read.
func (s *Sink) indexExists(ctx context.Context) (bool, error) {
	status, r, err := s.request(ctx, esapi.IndicesExistsRequest{Index: []string{s.index()}})
	switch {
	case err != nil:
		return false, err
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusNotFound:
		return false, nil
	case status == http.StatusForbidden:
		types, _, err := s.fieldTypes(ctx)
		return len(types) > 0, err
	}
	return false, s.statusFailure(r, nil)
}
