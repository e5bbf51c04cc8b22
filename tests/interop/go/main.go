// Command logcheck reads a whole log over HTTP and checks it with Go's own packages for signed notes
// and transparency logs, golang.org/x/mod/sumdb/{note,tlog}: the signature of the checkpoint, every
// hash against the signed root, every entry and its payload, and that the log only grew.
//
// It ends with an error at the first thing that does not hold.
//
//	logcheck <URL of the log> <verifier key> [older checkpoint file ...]
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height    = 8
	width     = 1 << height
	leafBytes = 49
)

var client = &http.Client{Timeout: 60 * time.Second}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: logcheck <URL> <verifier key> [older checkpoint file ...]")
		os.Exit(2)
	}
	if err := check(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "logcheck:", err)
		os.Exit(1)
	}
}

func check(url, key string, older []string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	signed, err := get(url + "/checkpoint")
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(signed, verifier)
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	// Checks every hash that it reads against the root.
	hashes := tlog.TileHashReader(tree, &tiles{url, map[tlog.Tile][]byte{}})

	if err := checkEntries(url, tree, hashes); err != nil {
		return err
	}
	for _, path := range older {
		signed, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		old, err := openCheckpoint(signed, verifier)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := checkGrowth(url, old, tree, hashes); err != nil {
			return fmt.Errorf("from size %d to %d: %w", old.N, tree.N, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int64{
		"entries": tree.N,
		"older":   int64(len(older)),
	})
}

// openCheckpoint reads a C2SP tlog-checkpoint of the log that the key names.
func openCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.SplitN(opened.Text, "\n", 4)
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("no checkpoint of %s: %q", verifier.Name(), opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// checkEntries checks that every entry is in the tree, and that its payload is what it binds.
func checkEntries(url string, tree tlog.Tree, hashes tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += width {
		count := tree.N - first
		if count > width {
			count = width
		}
		bundle, err := get(url + "/tile/entries/" + numbered(first/width, int(count)))
		if err != nil {
			return err
		}
		for index := first; index < first+count; index++ {
			leaf, rest, err := next(bundle)
			if err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			bundle = rest
			if err := checkEntry(url, index, leaf, tree, hashes); err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
		}
		if len(bundle) > 0 {
			return fmt.Errorf("the bundle of entry %d is too long", first)
		}
	}
	return nil
}

func checkEntry(url string, index int64, leaf []byte, tree tlog.Tree, hashes tlog.HashReader) error {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		return err
	}
	if len(leaf) != leafBytes || binary.BigEndian.Uint64(leaf[33:41]) != uint64(index) {
		return fmt.Errorf("its leaf is another's")
	}
	payload, err := get(fmt.Sprintf("%s/payload/%d", url, index))
	if err != nil {
		return err
	}
	if hash := sha256.Sum256(payload); !bytes.Equal(hash[:], leaf[1:33]) {
		return fmt.Errorf("its payload is another")
	}
	return nil
}

// checkGrowth checks that the tree continues an older one, by a proof made here of the tiles, and by
// the one that the server gives.
func checkGrowth(url string, old, tree tlog.Tree, hashes tlog.HashReader) error {
	proof, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return err
	}
	api := strings.TrimSuffix(url, "/log") + "/api"
	body, err := get(fmt.Sprintf("%s/consistency?old=%d&new=%d", api, old.N, tree.N))
	if err != nil {
		return err
	}
	var served struct {
		Proof []string `json:"consistency_proof"`
	}
	if err := json.Unmarshal(body, &served); err != nil {
		return err
	}
	proof = nil
	for _, text := range served.Proof {
		hash, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(hash) != tlog.HashSize {
			return fmt.Errorf("%q is no hash", text)
		}
		proof = append(proof, tlog.Hash(*(*[tlog.HashSize]byte)(hash)))
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}

// next splits the first entry off a bundle.
func next(bundle []byte) (entry, rest []byte, err error) {
	if len(bundle) < 2 {
		return nil, nil, fmt.Errorf("the bundle is too short")
	}
	length := int(binary.BigEndian.Uint16(bundle))
	bundle = bundle[2:]
	if len(bundle) < length {
		return nil, nil, fmt.Errorf("the bundle is too short")
	}
	return bundle[:length], bundle[length:], nil
}

// tiles reads tiles where C2SP tlog-tiles has them; Go's own paths are the checksum database's.
type tiles struct {
	url string
	// Those that led to the signed root.
	sound map[tlog.Tile][]byte
}

func (t *tiles) Height() int { return height }

func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var data [][]byte
	for _, tile := range wanted {
		if known, ok := t.sound[tile]; ok {
			data = append(data, known)
			continue
		}
		path := fmt.Sprintf("%s/tile/%d/%s", t.url, tile.L, numbered(tile.N, tile.W))
		body, err := get(path)
		if err != nil {
			return nil, err
		}
		data = append(data, body)
	}
	return data, nil
}

func (t *tiles) SaveTiles(read []tlog.Tile, data [][]byte) {
	for i, tile := range read {
		t.sound[tile] = data[i]
	}
}

// numbered writes a tile's number in groups of three digits, and its width if it is partial.
func numbered(number int64, wide int) string {
	path := fmt.Sprintf("%03d", number%1000)
	for number >= 1000 {
		number /= 1000
		path = fmt.Sprintf("x%03d/%s", number%1000, path)
	}
	if wide < width {
		path += fmt.Sprintf(".p/%d", wide)
	}
	return path
}

func get(url string) ([]byte, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return body, nil
}
