package main

import "testing"

func TestMainRuns(*testing.T) { main() }
