// What a copy needs of the machine that serves it, and what of that is missing.
#include "postgres/capture/host_needs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postgres/capture/node_clocks.h"
#include "postgres/restore/host_check.h"

namespace aeterna::postgres::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

HostNeeds needs() {
    HostNeeds needs;
    needs.collations = {{"icu", "de", "153.120"}, {"libc", "de_DE.utf8", "2.31"}, {"libc", "en_US.utf8", "2.31"}};
    needs.extensions = {{"plpgsql", "1.0"}, {"postgis", "3.3.2"}};
    needs.libraries = {"pg_stat_statements", "/opt/audit.so"};
    return needs;
}

TEST(HostNeeds, LibrariesAreReadAsTheServerShowsThem) {
    EXPECT_THAT(parse_library_list(""), IsEmpty());
    EXPECT_THAT(parse_library_list("$libdir/pg_stat_statements, auto_explain,\"a b\" , "), ElementsAre("pg_stat_statements", "auto_explain", "a b"));
}

TEST(HostNeeds, AnEntryKeepsThem) {
    const Json written = host_needs_json(needs());
    EXPECT_EQ(host_needs_json(read_host_needs(written)), written);
    EXPECT_TRUE(read_host_needs(Json::object()).empty());
    EXPECT_TRUE(read_host_needs(Json{{"extensions", 7}, {"libraries", {1, 2}}, {"collations", "x"}}).empty());
}

TEST(HostNeeds, WhatIsThereIsNotSaid) {
    HostHas has{"2.31", std::set<std::string>{"plpgsql", "postgis"}, std::set<std::string>{"pg_stat_statements", "/opt/audit.so"}};
    EXPECT_THAT(missing_on_host(needs(), has), IsEmpty());
}

TEST(HostNeeds, WhatNobodyCouldFindOutIsNotSaid) { EXPECT_THAT(missing_on_host(needs(), HostHas()), IsEmpty()); }

TEST(HostNeeds, EachMissingThingIsOneLine) {
    HostHas has{"2.36", std::set<std::string>{"plpgsql"}, std::set<std::string>{"/opt/audit.so"}};
    EXPECT_THAT(missing_on_host(needs(), has),
                ElementsAre(HasSubstr("sorted by glibc 2.31, this machine has 2.36"), HasSubstr("extensions of the databases: postgis (3.3.2):"),
                            HasSubstr("shared_preload_libraries: pg_stat_statements:")));
}

TEST(NodeClocks, OnlyThoseThatAreOffAreSaid) {
    EXPECT_THAT(clocks_that_are_off({{"postgres-1", 0.9}, {"postgres-2", 3.5}, {"postgres-3", -61.0}}),
                ElementsAre(HasSubstr("'postgres-2' was 3.5 s ahead of that of"), HasSubstr("'postgres-3' was 1 min 1 s behind that of")));
}

}  // namespace
}  // namespace aeterna::postgres::testing
