"""The drawings of a report: functions from a run to panels, plotly figures that carry a sentence on what they show."""
