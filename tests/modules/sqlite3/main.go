// SQLite, in C: a database in memory that many goroutines ask at once.
package main

import (
	"database/sql"
	"fmt"
	"sync"

	"github.com/mattn/go-sqlite3"
)

func main() {
	db, err := sql.Open("sqlite3", "file::memory:?cache=shared")
	if err != nil {
		panic(err)
	}
	defer db.Close()
	must(db.Exec("create table pages (path text primary key, size int)"))
	for n := 0; n < 100; n++ {
		must(db.Exec("insert into pages values (?, ?)", fmt.Sprintf("/%03d", n), n))
	}
	var all sync.WaitGroup
	for n := 0; n < 8; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if sum := one(db, "select sum(size) from pages where path like '/0%'"); sum != "4950" {
				panic(sum)
			}
		}()
	}
	all.Wait()
	version, _, _ := sqlite3.Version()
	fmt.Println(version, one(db, "select group_concat(path, ' ') from pages where size > 97"))
}

func one(db *sql.DB, query string) (found string) {
	if err := db.QueryRow(query).Scan(&found); err != nil {
		panic(err)
	}
	return found
}

func must(_ sql.Result, err error) {
	if err != nil {
		panic(err)
	}
}
