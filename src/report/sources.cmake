set(AETERNA_REPORT_SOURCES lessons.cc material.cc post_mortem.cc scorecard_text.cc)
