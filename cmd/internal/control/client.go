package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"taxii-forwarder/forwarder/replica"
	"taxii-forwarder/forwarder/status"
)

// ErrNotRunning means that no forwarder runs on a state directory.
var ErrNotRunning = errors.New("no forwarder is running on this state directory")

// Client talks to the forwarder that runs on one state directory.
type Client struct {
	endpoint
	http *http.Client
}

// Dial finds the forwarder that runs on the state in dir; the error is (or
// wraps) [ErrNotRunning] when there is none.
func Dial(ctx context.Context, dir string) (*Client, error) {
	path := filepath.Join(dir, fileName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("read %s: permission denied; run this as the service's account or as an administrator", path)
	case err != nil:
		return nil, err
	}
	c := &Client{http: &http.Client{
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if err := json.Unmarshal(b, &c.endpoint); err != nil || !isLoopback(c.Address) || c.Token == "" {
		return nil, fmt.Errorf("%s is not what a forwarder writes; remove it and restart the service", path)
	}
	if err := c.prove(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func isLoopback(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && a.Addr().IsLoopback()
}

// Status asks for the status.
func (c *Client) Status(ctx context.Context) (status.Status, error) {
	var s status.Status
	return s, c.do(ctx, http.MethodGet, "/status", nil, &s)
}

// Alive asks whether the forwarder's loops make progress.
func (c *Client) Alive(ctx context.Context) (bool, error) {
	var a alive
	return a.Alive, c.do(ctx, http.MethodGet, "/alive", nil, &a)
}

// Reload makes the forwarder read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	_, err := c.post(ctx, "/reload", nil)
	return err
}

// Replay makes the forwarder send anew what it sent before; it returns the
// number of routes concerned.
func (c *Client) Replay(ctx context.Context, sink, feed string, since time.Time) (int, error) {
	return c.post(ctx, "/replay", replayRequest{Sink: sink, Feed: feed, Since: since})
}

// RetryDead queues dead letters for another attempt.
func (c *Client) RetryDead(ctx context.Context, f replica.DeadFilter) (int, error) {
	return c.post(ctx, "/dead-letters/retry", f)
}

// DropDead deletes dead letters.
func (c *Client) DropDead(ctx context.Context, f replica.DeadFilter) (int, error) {
	return c.post(ctx, "/dead-letters/drop", f)
}

// Refusal is the running forwarder's error.
type Refusal struct{ text, details string }

func (r *Refusal) Error() string { return r.text }

// Details returns what else is to be said, in lines of its own; may be empty.
func (r *Refusal) Details() string { return r.details }

func (c *Client) post(ctx context.Context, path string, body any) (int, error) {
	var a answer
	err := c.do(ctx, http.MethodPost, path, body, &a)
	if a.Error != "" {
		err = &Refusal{text: a.Error, details: a.Details}
	}
	return a.Count, err
}

func (c *Client) do(ctx context.Context, method, path string, body, into any) error {
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.Address+path, &b)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running forwarder (process %d): %w", c.PID, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return ErrNotRunning // it was replaced by another just now
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<20)).Decode(into); err != nil {
		return fmt.Errorf("the running forwarder's answer to %s: %w", path, err)
	}
	return nil
}
