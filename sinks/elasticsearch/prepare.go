package elasticsearch

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/go-json-experiment/json"

	"taxii-forwarder/forwarder/intel"
)

// prepareAgain is how long the template is taken to be in place. A cluster that
// was restored from before it, or made anew, does not say so.
const prepareAgain = time.Minute

// prepare sees to the index template before the first document, again after
// every failure, and with the first delivery after a while: an index that is
// created without it would map addresses as text for good.
func (s *Sink) prepare(ctx context.Context) error {
	if s.isPrepared() || !*s.config.ManageTemplate {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isPrepared() {
		return nil
	}
	if err := s.installTemplate(ctx); err != nil {
		return err
	}
	s.prepared.Store(s.now().UnixNano())
	return nil
}

func (s *Sink) isPrepared() bool {
	at := s.prepared.Load()
	return at != 0 && s.now().UnixNano()-at < int64(prepareAgain)
}

func (s *Sink) unprepare() { s.prepared.Store(0) }

// installTemplate installs component and index template where they are missing
// or older than ours. Without the privilege to do so, or when it has been taken
// away after the first start, it is content with what is in place.
func (s *Sink) installTemplate(ctx context.Context) error {
	current, readable, err := s.templateVersion(ctx)
	if err != nil {
		return err
	}
	if readable && current >= templateVersion {
		return nil
	}
	distribution, err := s.detect(ctx)
	if err != nil {
		return err
	}
	denied, err := s.put(ctx, esapi.ClusterPutComponentTemplateRequest{
		Name: componentName(s.index()), Body: bytes.NewReader(componentTemplate(distribution)),
	}, "install component template "+componentName(s.config.Index))
	if err == nil && denied == nil {
		denied, err = s.put(ctx, esapi.IndicesPutIndexTemplateRequest{
			Name: s.index(), Body: bytes.NewReader(indexTemplate(distribution, s.config.Index)),
		}, "install index template "+s.config.Index)
	}
	if err != nil {
		return err
	}
	if denied != nil {
		return s.contentWith(ctx, denied, readable && current >= 0)
	}
	exists, err := s.indexExists(ctx)
	if err != nil {
		return err
	}
	s.log.Info("installed index template", "template", s.config.Index, "version", templateVersion)
	if exists {
		// A template shapes new indices only.
		denied, err := s.put(ctx, esapi.IndicesPutMappingRequest{
			Index: []string{s.index()}, Body: bytes.NewReader(encode(mappings(distribution))),
		}, "update the mapping of "+s.config.Index)
		if err != nil {
			denied = intel.AsFailure(err)
		}
		if denied != nil {
			s.warn(fmt.Sprintf("index %s keeps its old mapping: %s", s.config.Index, denied.Err))
		}
	}
	return nil
}

// warn logs a warning once, however often prepare runs.
func (s *Sink) warn(text string) {
	if s.warned != text {
		s.warned = text
		s.log.Warn(text)
	}
}

// templateVersion returns the version of the index template at the server, -1
// when there is none; readable is false when the credentials do not allow to
// look.
func (s *Sink) templateVersion(ctx context.Context) (version int64, readable bool, err error) {
	status, r, err := s.request(ctx, esapi.IndicesGetIndexTemplateRequest{Name: s.index()})
	switch {
	case err != nil:
		return -1, false, err
	case status == http.StatusNotFound:
		return -1, true, nil
	case status == http.StatusForbidden:
		return -1, false, nil
	case status != http.StatusOK:
		return -1, false, s.statusFailure(r, replyError(r.body))
	}
	var answer struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Version int64 `json:"version"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	if err := json.Unmarshal(r.body, &answer, lenient); err != nil {
		return -1, false, intel.Fail(intel.FailProtocol, "read index template: %w", err)
	}
	for _, t := range answer.Templates {
		if t.Name == s.config.Index {
			return max(t.Template.Version, 0), true, nil
		}
	}
	return -1, true, nil
}

// put makes a request that changes the set-up. denied is its failure when the
// credentials lack the privilege.
func (s *Sink) put(ctx context.Context, r esapi.Request, what string) (denied *intel.Failure, err error) {
	status, answer, err := s.request(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case status >= 200 && status < 300:
		return nil, nil
	}
	f := s.statusFailure(answer, replyError(answer.body))
	f.Err = fmt.Errorf("%s: %w", what, f.Err)
	if status == http.StatusForbidden {
		return f.WithHint("grant the cluster privilege manage_index_templates for the first start, or have an admin create index %s and set manage_template = false", s.config.Index), nil
	}
	if f.Kind == intel.FailProtocol {
		f.Kind = intel.FailConfig
	}
	return nil, f
}

// detect returns the distribution that answers: the configured one, unless the
// server says that it is serverless. Lacking the privilege to ask is no error.
func (s *Sink) detect(ctx context.Context) (string, error) {
	if s.config.Distribution != Elasticsearch {
		return s.config.Distribution, nil
	}
	status, r, err := s.request(ctx, esapi.InfoRequest{})
	if err != nil {
		return "", err
	}
	if status == http.StatusForbidden || status == http.StatusNotFound {
		return s.config.Distribution, nil
	}
	if status != http.StatusOK {
		return "", s.statusFailure(r, replyError(r.body))
	}
	var info struct {
		Version struct {
			Flavor string `json:"build_flavor"`
		} `json:"version"`
	}
	_ = json.Unmarshal(r.body, &info, lenient)
	if info.Version.Flavor == "serverless" {
		return Serverless, nil
	}
	return s.config.Distribution, nil
}
