//go:build server

package main

// Pins the server that is built beside the client.
import _ "github.com/nats-io/nats-server/v2"
