#include <sqlite3.h>
#include <stdio.h>
int main(void) {
    sqlite3 *db;
    const char *sql = "create virtual table t using fts5(a); insert into t values('hello world');"
                      "create virtual table r using rtree(i, a, b); select sqrt(2) from t('world')";
    if (sqlite3_open(":memory:", &db)) return 1;
    if (sqlite3_exec(db, sql, 0, 0, 0)) return puts(sqlite3_errmsg(db)), 2;
    if (!sqlite3_threadsafe()) return 3;
    puts(sqlite3_libversion());
    return 0;
}
