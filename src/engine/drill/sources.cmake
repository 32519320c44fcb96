set(AETERNA_ENGINE_DRILL_SOURCES
    drill/assist_score.cc
    drill/fault.cc
    drill/ledger.cc
    drill/scorecard.cc
    drill/statistics.cc
    drill/workload.cc)
