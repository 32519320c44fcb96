// What became of a write that was not acknowledged.
#include "postgres/workload/writer.h"

#include <gtest/gtest.h>

#include "postgres/client/sql.h"

namespace aeterna::postgres {
namespace {

using engine::WriteOutcome;

TEST(Sqlstate, FoundWhereTheAdapterWritesIt) {
    const auto of = [](const char* message) {
        return sqlstate_of(make_error(ErrorCode::kServer, message));
    };
    EXPECT_EQ(of("PostgreSQL at '10.0.0.1:15432': relation is missing (SQLSTATE 42P01)"), "42P01");
    EXPECT_EQ(
        of("PostgreSQL at '10.0.0.1:15432': FATAL:  57P03: the database system is starting up"),
        "57P03");
    EXPECT_EQ(of("PostgreSQL at '10.0.0.1:15432': connection refused"), "");
}

struct WriteCase {
    const char* what;
    ErrorCode code;
    const char* message;
    Effect effect;
    WriteOutcome expected;
};

TEST(WriteOutcomes, Table) {
    const WriteCase cases[] = {
        {"replica", ErrorCode::kReadOnly, "read-only (SQLSTATE 25006)", Effect::kNone,
         WriteOutcome::kFail},
        {"no table", ErrorCode::kServer, "missing (SQLSTATE 42P01)", Effect::kNone,
         WriteOutcome::kFail},
        {"disk full", ErrorCode::kServer, "no space (SQLSTATE 53100)", Effect::kNone,
         WriteOutcome::kFail},
        {"starting", ErrorCode::kUnavailable, "FATAL:  57P03: starting up", Effect::kUnknown,
         WriteOutcome::kFail},
        {"too many", ErrorCode::kUnavailable, "too many (SQLSTATE 53300)", Effect::kNone,
         WriteOutcome::kFail},
        {"cancelled during commit", ErrorCode::kServer, "cancelled (SQLSTATE 57014)", Effect::kNone,
         WriteOutcome::kUnknown},
        {"terminated", ErrorCode::kUnavailable, "terminating (SQLSTATE 57P01)", Effect::kUnknown,
         WriteOutcome::kUnknown},
        {"id is there", ErrorCode::kServer, "duplicate key (SQLSTATE 23505)", Effect::kNone,
         WriteOutcome::kUnknown},
        {"no reply", ErrorCode::kTimeout, "no answer", Effect::kUnknown, WriteOutcome::kUnknown},
        {"reset", ErrorCode::kConnectionLost, "connection reset by peer", Effect::kUnknown,
         WriteOutcome::kUnknown},
        {"without a word", ErrorCode::kServer, "something", Effect::kNone, WriteOutcome::kUnknown},
    };
    for (const WriteCase& item : cases) {
        EXPECT_EQ(classify_write_error(make_error(item.code, item.message, "", item.effect)),
                  item.expected)
            << item.what;
    }
}

}  // namespace
}  // namespace aeterna::postgres
